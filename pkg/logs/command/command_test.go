package command

import (
	"bufio"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"lkt/init/logs"
)

var noon = time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC)

func add(t *testing.T, dir, source string, minute int, text string) {
	t.Helper()
	file, err := os.OpenFile(logs.Path(dir, source), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	e := logs.Entry{Time: noon.Add(time.Duration(minute) * time.Minute), Source: source, Text: text}
	if _, err := file.Write(e.AppendLine(nil)); err != nil {
		t.Fatal(err)
	}
}

func example(t *testing.T) string {
	dir := t.TempDir()
	add(t, dir, "a", 0, "one")
	add(t, dir, "b", 1, "two \x1b[2J")
	add(t, dir, "a", 2, "three")
	return dir
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	o, err := parse(args, noon.Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(o, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestShow(t *testing.T) {
	dir := example(t)
	const one, two, three = "2020-02-29T12:00:00.000Z a one\n", "2020-02-29T12:01:00.000Z b two ?[2J\n", "2020-02-29T12:02:00.000Z a three\n"
	for args, want := range map[string]string{
		"":                               one + two + three,
		"a":                              one + three,
		"b a":                            one + two + three,
		"-n 2":                           two + three,
		"-n 0":                           "",
		"-n 1 b":                         two,
		"b -n 1":                         two,
		"-since 2m":                      two + three,
		"-since 2020-02-29T12:02:00Z":    three,
		"--since 2020-02-29T12:02:00Z a": three,
		"-raw b":                         strings.ReplaceAll(two, "?", "\x1b"),
	} {
		if got := output(t, append([]string{"-dir", dir}, strings.Fields(args)...)...); got != want {
			t.Errorf("%s: %q", args, got)
		}
	}
}

func TestReportsInvalidArguments(t *testing.T) {
	for _, args := range []string{"-x", "-n", "-n x", "-since yesterday", "a -x"} {
		if _, err := parse(strings.Fields(args), noon); err == nil {
			t.Errorf("accepted %q", args)
		}
	}
	if err := run(options{dir: example(t), sources: []string{"none"}, last: -1}, io.Discard); err == nil {
		t.Error("accepted an unknown source")
	}
}

func TestFollow(t *testing.T) {
	dir := example(t)
	read, write := io.Pipe()
	go func() { _ = run(options{dir: dir, follow: true, last: 1}, write) }()
	lines := bufio.NewScanner(read)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), want) {
			t.Fatalf("%q instead of %q", lines.Text(), want)
		}
	}
	next("a three")
	add(t, dir, "a", 4, "four")
	next("a four")
	if err := os.Rename(logs.Path(dir, "a"), logs.Path(dir, "a")+".1"); err != nil {
		t.Fatal(err)
	}
	add(t, dir, "a", 5, "five")
	next("a five")
	add(t, dir, "new", 6, "six")
	next("new six")
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	status := map[string]logs.Status{"b": {Lines: 1}, "a": {Lines: 7, Bytes: 70, DroppedLines: 5, Unsent: 2, Kept: 35}}
	if err := logs.WriteStatus(dir, status); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(output(t, "-list", "-dir", dir), "\n")
	if got := strings.Fields(lines[1]); strings.Join(got, " ") != "a 7 70 5 2 35" {
		t.Error(got)
	}
}
