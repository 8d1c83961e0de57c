package tidy

import (
	"fmt"
	"go/doc"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// operatorsPage is what operatorsDoc writes.
const operatorsPage = "docs/operators.md"

// family is a chapter of the page: operators that are declared in the same files.
type family struct {
	title string
	files []string
}

var families = []family{
	{"Programs", []string{"builder"}},
	{"Sources and sinks", []string{"stream", "sink", "repartition"}},
	{"Steps without state", []string{"stateless", "try", "split", "nullable"}},
	{"Grouping and aggregation", []string{"group", "aggregate"}},
	{"Windows", []string{"window", "windowed"}},
	{"Sessions", []string{"session"}},
	{"Cogroup", []string{"cogroup", "cogroupwindow"}},
	{"Tables", []string{"table", "transform", "processtable"}},
	{"Groups of tables", []string{"grouptable"}},
	{"Suppress", []string{"suppress"}},
	{"Joins of streams and tables", []string{"join"}},
	{"Joins of streams", []string{"joinwindow", "joinstream"}},
	{"Joins of tables", []string{"jointables", "jointablesopt"}},
	{"Joins by foreign key", []string{"foreign"}},
	{"Global tables and stores", []string{"globaltable", "joinglobal", "globalstore"}},
	{"Processors", []string{"process", "readonlystore"}},
	{"Queries", []string{"query", "query_window", "query_versioned"}},
}

// more are functions beside the operators that have examples.
const more = "Options and more"

func familyOf(file string) *family {
	base := strings.TrimSuffix(path.Base(file), ".go")
	for i := range families {
		if slices.Contains(families[i].files, base) {
			return &families[i]
		}
	}
	return nil
}

const pageHead = "# Operators\n\n" +
	"Made by `go test ./integration/tidy -rewrite` of the comments and the examples of package `stream`; `go test ./stream -run\n" +
	"Example` runs them. Coming from Kafka Streams: [what is called how, and what differs](coming-from-kafka-streams.md).\n\n" +
	"In the examples `from(b, topic)` and `tableOf(b, topic)` read text keyed by text, `run` pipes records, written \"topic key value\"\n" +
	"with `-` for null, through the program and prints what is written to `out`. Others of its kind take times in ms: `runTimed`\n" +
	"(\"topic key=value @ms\"), `runAt`, `runSeconds` (one record a second). `fails(v)` returns an error for \"fail\", `plusOpt` appends,\n" +
	"and deletes for \"del\". A record that fails becomes a dead letter, and nothing else remains of it.\n"

// operatorsDoc makes the page.
func operatorsDoc(m *module) string {
	examples, chapters := examplesOf(m), map[string][]operator{}
	for _, op := range operatorsOf(m) {
		if examples[op.name] == nil {
			continue
		}
		title := more
		if f := familyOf(op.file.path); f != nil && op.step {
			title = f.title
		}
		chapters[title] = append(chapters[title], op)
	}
	titles := []string{}
	for _, f := range families {
		titles = append(titles, f.title)
	}
	titles = append(titles, more)
	var out strings.Builder
	out.WriteString(pageHead)
	for _, title := range titles {
		fmt.Fprintf(&out, "\n[%s](#%s):", title, strings.ReplaceAll(strings.ToLower(title), " ", "-"))
		for i, op := range chapters[title] {
			fmt.Fprintf(&out, "%s %s", map[bool]string{true: ",", false: ""}[i > 0], strings.ReplaceAll(op.name, "_", "."))
		}
		out.WriteString(".\n")
	}
	for _, title := range titles {
		fmt.Fprintf(&out, "\n## %s\n", title)
		for _, op := range chapters[title] {
			writeOperator(&out, m, op, examples[op.name])
		}
	}
	return out.String()
}

func writeOperator(out *strings.Builder, m *module, op operator, x *example) {
	fmt.Fprintf(out, "\n### %s\n\n%s\n\n```go\n%s\n```\n", strings.ReplaceAll(op.name, "_", "."), synopsis(op.fn.Doc.Text()), signature(m, op))
	if x.about != "" {
		fmt.Fprintf(out, "\n%s\n", strings.Join(strings.Fields(x.about), " "))
	}
	fmt.Fprintf(out, "\n```go\n%s\n```\n\n```\n%s\n```\n", x.code, x.output)
}

var link = regexp.MustCompile(`\[([A-Za-z.]+)\]`)

// synopsis is the first sentence of a comment, with names as code.
func synopsis(text string) string {
	return link.ReplaceAllString(new(doc.Package).Synopsis(text), "`$1`")
}

var spaces = regexp.MustCompile(`\s*\n\s*`)

// signature is the head of a function in one line.
func signature(m *module, op operator) string {
	src, err := fs.ReadFile(m.fsys, op.file.path)
	if err != nil {
		return ""
	}
	head := src[m.fset.Position(op.fn.Pos()).Offset:m.fset.Position(op.fn.Body.Lbrace).Offset]
	return strings.TrimSpace(spaces.ReplaceAllString(string(head), " "))
}
