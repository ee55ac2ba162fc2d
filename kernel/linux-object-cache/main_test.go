package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain runs this program itself where a test starts it.
func TestMain(m *testing.M) {
	if os.Getenv("OBJECT_CACHE_TEST") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A build is a small tree of Linux, with its generated headers in another directory.
type build struct {
	t       *testing.T
	source  string
	objects string
	store   string
	env     []string
}

const compiled = "#include \"own.h\"\n" +
	"#ifdef CONFIG_FILE\nint file = CONFIG_FILE;\n#endif\n" +
	"#ifdef CONFIG_TEXT\nchar text[] = \"x\" CONFIG_TEXT;\n#endif\n" +
	"#ifdef CONFIG_FULL\n#include \"full.h\"\n#endif\n" +
	"// Unlike asm(\".include <full.h>\"), which no assembler reads.\n"

func newBuild(t *testing.T) *build {
	dir := t.TempDir()
	b := &build{t: t, source: dir + "/linux", objects: dir + "/objects", store: dir + "/store"}
	b.set("KEY", "1")
	b.set("DIR", b.store)
	b.set("SOURCE", b.source)
	b.set("LOG", dir+"/log")
	b.write("linux/a.c", compiled)
	b.write("linux/own.h", "#ifdef CONFIG_HEADER_MODULE\nint header;\n#endif\n#include <made.h>\n")
	b.write("linux/full.h", "#ifdef CONFIG_DEEP\nint deep;\n#endif\n")
	b.write("linux/start.S", "#ifdef CONFIG_FILE\n.byte CONFIG_FILE\n#endif\n")
	b.write("objects/include/generated/made.h", "int made = 1;\n")
	b.options("#define CONFIG_FILE 1\n#define CONFIG_OTHER 1\n")
	return b
}

func (b *build) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(filepath.Dir(b.source), path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// options writes the header with all options.
func (b *build) options(text string) {
	b.write("objects/include/generated/autoconf.h", text)
}

func (b *build) set(name, value string) {
	b.env = append(b.env, "OBJECT_CACHE_"+name+"="+value)
}

// command returns the arguments with which Kbuild compiles a file.
func (b *build) command(name string, more ...string) []string {
	return append([]string{
		"gcc", "-Wp,-MMD,a.o.d", "-Wall", "-nostdinc", "-I./include/generated", "-I" + b.source,
		"-include", "./include/generated/autoconf.h", "-c", "-o", "a.o", b.source + "/" + name,
	}, more...)
}

// compile compiles a file as Kbuild does, and fails unless the compiler writes the same files. It
// returns whether the object came from the store, the error output, and the exit status.
func (b *build) compile(args []string) (bool, string, int) {
	b.t.Helper()
	for _, name := range []string{"a.o", "a.o.d", "../log"} {
		if err := os.Remove(filepath.Join(b.objects, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.t.Fatal(err)
		}
	}
	said, status := b.run(os.Args[0], args...)
	object, list := b.read("a.o"), b.read("a.o.d")
	b.run("env", args...)
	if !bytes.Equal(object, b.read("a.o")) {
		b.t.Fatal("another object than the compiler's")
	}
	if !bytes.Equal(list, b.read("a.o.d")) {
		b.t.Fatalf("another list than the compiler's: %s", list)
	}
	return len(b.read("../log")) > 0, said, status
}

func (b *build) run(program string, args ...string) (string, int) {
	b.t.Helper()
	command := exec.Command(program, args...)
	command.Dir = b.objects
	command.Env = append(append(os.Environ(), "OBJECT_CACHE_TEST=1"), b.env...)
	var said bytes.Buffer
	command.Stderr = &said
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return said.String(), command.ProcessState.ExitCode()
}

// read returns the content of a file, empty if it is missing.
func (b *build) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.objects, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	return content
}

// expect compiles and fails unless the object came, or did not come, from the store.
func (b *build) expect(reused bool, args []string) {
	b.t.Helper()
	got, said, status := b.compile(args)
	if status != 0 {
		b.t.Fatalf("exit status %d: %s", status, said)
	}
	if got != reused {
		b.t.Fatalf("from the store: %t, want %t", got, reused)
	}
}

func TestReuse(t *testing.T) {
	for _, c := range []struct {
		name   string
		reused bool
		change func(*build)
	}{
		{"nothing changed", true, func(*build) {}},
		{"an option that no file names", true, func(b *build) { b.options("#define CONFIG_FILE 1\n#define CONFIG_NEW 1\n") }},
		{"an option of the file", false, func(b *build) { b.options("#define CONFIG_FILE 2\n#define CONFIG_OTHER 1\n") }},
		{"an option of the file that is gone", false, func(b *build) { b.options("#define CONFIG_OTHER 1\n") }},
		{"an option that is the empty text", false, func(b *build) { b.options("#define CONFIG_FILE 1\n#define CONFIG_TEXT \"\"\n") }},
		{"an option of a header, as module", false, func(b *build) { b.options("#define CONFIG_FILE 1\n#define CONFIG_HEADER_MODULE 1\n") }},
		{"an option that includes a header", false, func(b *build) { b.options("#define CONFIG_FILE 1\n#define CONFIG_FULL 1\n") }},
		{"a generated header", false, func(b *build) { b.write("objects/include/generated/made.h", "int made = 2;\n") }},
		{"a generated header with the same code", false, func(b *build) { b.write("objects/include/generated/made.h", "int made = 1; //\n") }},
		{"the key", false, func(b *build) { b.set("KEY", "2") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBuild(t)
			b.expect(false, b.command("a.c"))
			c.change(b)
			b.expect(c.reused, b.command("a.c"))
			b.expect(true, b.command("a.c"))
		})
	}
}

func TestOtherCommands(t *testing.T) {
	b := newBuild(t)
	b.expect(false, b.command("a.c"))
	b.expect(false, b.command("a.c", "-O2"))
	b.expect(false, b.command("start.S"))
	b.expect(true, b.command("start.S"))
	b.expect(true, b.command("a.c", "-O2"))
	b.expect(true, b.command("a.c"))
	b.set("KEY", "")
	b.expect(false, b.command("a.c"))
}

func TestOptionsToAndFro(t *testing.T) {
	b := newBuild(t)
	all := []string{
		"#define CONFIG_FILE 1\n",
		"#define CONFIG_FILE 1\n#define CONFIG_FULL 1\n",
		"#define CONFIG_FILE 1\n#define CONFIG_FULL 1\n#define CONFIG_DEEP 1\n",
	}
	for i, reused := range []bool{false, false, false, true, true, true} {
		b.options(all[i%len(all)])
		b.expect(reused, b.command("a.c"))
	}
	// Without CONFIG_FULL the file does not depend on CONFIG_DEEP.
	b.options("#define CONFIG_FILE 1\n#define CONFIG_DEEP 1\n")
	b.expect(true, b.command("a.c"))
}

func TestWhatTheListDoesNotName(t *testing.T) {
	for _, text := range []string{
		"asm(\".incbin \\\"data\\\"\");\n",
		"asm(\".include\\t\\\"empty\\\"\");\n",
		"asm(\".include   \\\"empty\\\"\");\n",
		"const char *at = __TIMESTAMP__;\n",
		"#if __has_include(\"full.h\")\n#endif\n",
	} {
		b := newBuild(t)
		b.write("objects/data", "1")
		b.write("objects/empty", "")
		b.write("linux/a.c", text)
		for range 2 {
			b.expect(false, b.command("a.c"))
		}
	}
}

func TestWarningsAppearEveryTime(t *testing.T) {
	b := newBuild(t)
	b.write("linux/a.c", "int main(void) { int unused; return 0; }\n")
	for range 2 {
		reused, said, status := b.compile(b.command("a.c"))
		if reused || status != 0 || !strings.Contains(said, "unused variable") {
			t.Fatalf("from the store: %t, exit status %d: %s", reused, status, said)
		}
	}
}

func TestErrorsAreTheCompilers(t *testing.T) {
	b := newBuild(t)
	b.expect(false, b.command("a.c"))
	b.write("linux/b.c", "int wrong\n")
	for range 2 {
		reused, said, status := b.compile(b.command("b.c"))
		if reused || status != 1 || !strings.Contains(said, "error: expected") {
			t.Fatalf("from the store: %t, exit status %d: %s", reused, status, said)
		}
	}
	said, status := b.run(os.Args[0], "no-such-compiler", "-c")
	if status != 1 || !strings.Contains(said, "object-cache: error: ") {
		t.Fatalf("exit status %d: %s", status, said)
	}
}

func TestDecayIsNoticed(t *testing.T) {
	for _, kind := range []string{"inputs", "results"} {
		for _, change := range []func([]byte) []byte{
			func(content []byte) []byte { content[len(content)-1] ^= 1; return content },
			func(content []byte) []byte { content[0] ^= 1; return content },
			func(content []byte) []byte { return content[:len(content)/2] },
			func([]byte) []byte { return nil },
		} {
			b := newBuild(t)
			b.expect(false, b.command("a.c"))
			for _, path := range b.kept(kind) {
				content, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, change(content), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			b.expect(false, b.command("a.c"))
			b.expect(true, b.command("a.c"))
		}
	}
}

// kept returns the files of a kind in the store.
func (b *build) kept(kind string) []string {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.store, kind, "*", "*"))
	if err != nil || len(paths) == 0 {
		b.t.Fatalf("%v: %v", kind, err)
	}
	return paths
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	b := newBuild(t)
	b.write("store", "not a directory")
	b.expect(false, b.command("a.c"))
	b.expect(false, b.command("a.c"))
}

func TestClean(t *testing.T) {
	b := newBuild(t)
	b.expect(false, b.command("a.c"))
	first := b.kept("results")[0]
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(first, old, old); err != nil {
		t.Fatal(err)
	}
	b.expect(false, b.command("a.c", "-O2"))
	if _, status := b.run(os.Args[0], "clean", "1000000"); status != 0 || len(b.kept("results")) != 2 {
		t.Fatalf("exit status %d: %v", status, b.kept("results"))
	}
	// The use of an object makes the other one the oldest.
	b.expect(true, b.command("a.c"))
	size := int64(-1)
	for _, path := range append(b.kept("results"), b.kept("inputs")...) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		if path != first {
			later := old.Add(time.Minute)
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said, status := b.run(os.Args[0], "clean", strconv.FormatInt(size, 10)); status != 0 {
		t.Fatal(said)
	}
	if _, err := os.Stat(first); err != nil {
		t.Fatal(err)
	}
	said, status := b.run(os.Args[0], "clean", "x")
	if status != 1 || !strings.Contains(said, "invalid syntax") {
		t.Fatalf("exit status %d: %s", status, said)
	}
	if said, status := b.run(os.Args[0], "clean", "0"); status != 0 {
		t.Fatal(said)
	}
	if paths, _ := filepath.Glob(b.store + "/*/*/*"); len(paths) > 0 {
		t.Fatal(paths)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want bool
	}{
		{"gcc -Wp,-MMD,a.d -c -o a.o a.c", true},
		{"ccache gcc -Wp,-MMD,a.d -c -o a.o a.S", true},
		{"gcc -Wp,-MMD,a.d -Iinclude -include x.c -c -o a.o a.c", true},
		{"gcc -Wp,-MMD,a.d -isystem /usr/lib/gcc -c -o a.o a.c", true},
		{"gcc -Wp,-MMD,a.d -isystem here -c -o a.o a.c", false},
		{"gcc -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -c a.c", false},
		{"gcc -Wp,-MMD,a.d -c -o", false},
		{"gcc -Wp,-MMD,a.d -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -S -o a.s a.c", false},
		{"gcc -Wp,-MMD,a.d -E -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -c -o a.o a.c b.c", false},
		{"gcc -Wp,-MMD,a.d -c -o a.o", false},
		{"gcc -Wp,-MMD,a.d -c -o a.o -x c -", false},
		{"gcc -Wp,-MMD,a.d @more -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -save-temps -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -gsplit-dwarf -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d --coverage -c -o a.o a.c", false},
		{"gcc -Wp,-MMD,a.d -Wp,-MMD,b.d -c -o a.o a.c", false},
	} {
		if _, got := parse(strings.Fields(c.args)); got != c.want {
			t.Errorf("%s: %t, want %t", c.args, got, c.want)
		}
	}
}

func TestPluginIsPartOfTheCommand(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "plugin.so")
	c, ok := parse([]string{"gcc", "-Wp,-MMD,a.d", "-fplugin=" + plugin, "-c", "-o", "a.o", "a.c"})
	if !ok {
		t.Fatal("not a compilation")
	}
	if _, err := c.id("1"); err == nil {
		t.Fatal("accepted a plugin that is missing")
	}
	ids := map[string]bool{}
	for _, content := range []string{"a", "b", "a"} {
		if err := os.WriteFile(plugin, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		id, err := c.id("1")
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if len(ids) != 2 {
		t.Fatalf("%d names, want 2", len(ids))
	}
}

func TestOptionNames(t *testing.T) {
	options := map[string]struct{}{}
	addOptions(options, []byte("CONFIG_A CONFIG_B_MODULE(CONFIG_ CONFIG_x9)xCONFIG_C\nCONFIG_CONFIG_D"))
	var names []string
	for name := range options {
		names = append(names, name)
	}
	if len(names) != 6 {
		t.Fatal(names)
	}
	for _, name := range []string{"A", "B", "x9", "C", "CONFIG_D", "D"} {
		if _, ok := options[name]; !ok {
			t.Errorf("%s is missing in %v", name, names)
		}
	}
}
