package realkafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

//go:embed pom.xml
var pom []byte

// Names of the environment variables that govern the package.
const (
	enableVariable = "OXBOW_REAL_KAFKA"
	dirVariable    = "OXBOW_KAFKA_DIR"
)

// install is a Kafka that can be started: a Java, the jars, and perhaps an archive of loaded classes.
type install struct {
	java      string
	dir       string
	classpath string
	archive   string // empty: none
}

// resolve returns the install of the embedded pom, making what is missing of it.
func resolve(ctx context.Context) (*install, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("real kafka: cache directory: %w (set %s to one that can be written)", err, dirVariable)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("real kafka: %w", err)
	}
	defer unlock()

	jars := filepath.Join(dir, "jars")
	if _, err := os.Stat(jars); errors.Is(err, os.ErrNotExist) {
		if err := copyJars(ctx, dir, jars); err != nil {
			return nil, err
		}
	}
	in := &install{java: java, dir: dir}
	if in.classpath, err = classpath(jars); err != nil {
		return nil, err
	}
	return in, in.ensureArchive(ctx)
}

// cacheDir names the directory of this pom: another version of Kafka gets another directory.
func cacheDir() (string, error) {
	base := os.Getenv(dirVariable)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("real kafka: no cache directory: %w (set %s)", err, dirVariable)
		}
		base = filepath.Join(user, "oxbow")
	}
	sum := sha256.Sum256(pom)
	return filepath.Abs(filepath.Join(base, "kafka-"+hex.EncodeToString(sum[:4])))
}

func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if java := filepath.Join(home, "bin", "java"); isExecutable(java) {
			return java, nil
		}
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("real kafka: no java: %w (install Java 17 or newer, e.g. openjdk-17-jre-headless)", err)
	}
	return java, nil
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// copyJars lets Maven fetch the dependencies of the pom. The directory appears under its name only when complete.
func copyJars(ctx context.Context, dir, jars string) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("real kafka: no mvn: %w (install Maven 3, e.g. the package maven)", err)
	}
	pomFile := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pomFile, pom, 0o644); err != nil {
		return fmt.Errorf("real kafka: %w", err)
	}
	partial := jars + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("real kafka: %w", err)
	}
	cmd := exec.CommandContext(ctx, maven, "-B", "-q", "-f", pomFile, "dependency:copy-dependencies",
		"-DoutputDirectory="+partial, "-DincludeScope=runtime")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("real kafka: resolving the jars: %s: %w\n%s", cmd, err, tail(out.String(), 30))
	}
	if err := os.Rename(partial, jars); err != nil {
		return fmt.Errorf("real kafka: %w", err)
	}
	return nil
}

// classpath lists the jars in a fixed order: a class archive is only valid for the classpath it was made with.
func classpath(jars string) (string, error) {
	names, err := filepath.Glob(filepath.Join(jars, "*.jar"))
	if err != nil {
		return "", fmt.Errorf("real kafka: %w", err)
	}
	if len(names) < 20 {
		return "", fmt.Errorf("real kafka: %s holds %d jars, a broker needs about 47 (remove the directory to resolve again)",
			jars, len(names))
	}
	sort.Strings(names)
	return strings.Join(names, string(os.PathListSeparator)), nil
}

// command is a JVM that runs class. The heap is small and the compiler quick: brokers of tests live for seconds.
func (in *install) command(heapMB int, class string, args ...string) *exec.Cmd {
	jvm := []string{
		"-Xms64m", fmt.Sprintf("-Xmx%dm", heapMB), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
	}
	if in.archive != "" {
		jvm = append(jvm, "-XX:SharedArchiveFile="+in.archive)
	}
	jvm = append(jvm, "-cp", in.classpath, class)
	return exec.Command(in.java, append(jvm, args...)...)
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
