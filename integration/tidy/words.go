package tidy

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// unwanted are the texts of Y8, and why they have no place here.
var unwanted = []struct {
	text *regexp.Regexp
	why  string
}{
	{
		regexp.MustCompile(`(^|[^\w./~$}-])/(home|root|Users|work|farm)/\w`),
		"a directory of one machine: use a path from the repository, os.UserCacheDir or a variable",
	},
	{
		regexp.MustCompile(`(?i)\b(proxy\.golang\.org|sum\.golang\.org|goproxy\.(io|cn)|repo1?\.maven\.(org|apache\.org)|` +
			`maven\.google\.com|artifactory\.|registry\.npmjs\.org|pypi\.org|deb\.debian\.org|archive\.ubuntu\.com)`),
		"a registry's host: tools know their registries; users may have their own",
	},
}

// checkWords is Y8. It reads every text of the repository but this rule and its test.
func checkWords(m *module) (faults, _ []fault) {
	for _, name := range m.texts {
		if strings.HasPrefix(name, "integration/tidy/") || path.Base(name) == "go.sum" {
			continue
		}
		text, err := fs.ReadFile(m.fsys, name)
		if err != nil {
			faults = append(faults, fault{name, 0, err.Error()})
			continue
		}
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue // not text
		}
		for _, u := range unwanted {
			if at := u.text.FindIndex(text); at != nil {
				faults = append(faults, fault{name, bytes.Count(text[:at[1]], []byte("\n")) + 1, u.why})
			}
		}
	}
	return faults, nil
}
