package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2020, 2, 29, 12, 0, 0, 123456000, time.UTC)

func at(seconds int, source, text string) Entry {
	return Entry{noon.Add(time.Duration(seconds) * time.Second), source, text}
}

func write(t *testing.T, path string, entries ...Entry) {
	t.Helper()
	var text []byte
	for _, e := range entries {
		text = e.AppendLine(text)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		t.Fatal(err)
	}
}

func cursor(t *testing.T, dir, source string, older bool) *Cursor {
	t.Helper()
	c, err := OpenCursor(dir, source, older)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func texts(t *testing.T, cursors ...*Cursor) string {
	t.Helper()
	var all []string
	if err := Merge(cursors, func(e Entry) error { all = append(all, e.Text); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestParseLineInvertsAppendLine(t *testing.T) {
	for _, text := range []string{"", "plain", " two  blanks ", "\x1b[31m\x00\xff"} {
		e := at(0, "x", text)
		got, good := ParseLine("x", []byte(strings.TrimSuffix(string(e.AppendLine(nil)), "\n")))
		if !good || got != e {
			t.Errorf("%q: %v %v", text, got, good)
		}
	}
	for _, line := range []string{"", "plain", "2020-02-29T12:00:00.000000Z", "2020-02-30T12:00:00.000000Z no such day"} {
		if _, good := ParseLine("x", []byte(line)); good {
			t.Errorf("accepted %q", line)
		}
	}
}

func TestSanitizeName(t *testing.T) {
	for text, want := range map[string]string{
		"sshd": "sshd", "onboot.000-dhcp": "onboot.000-dhcp", "a/b": "a_b", "../x": "_./x", "": "_", ".status": "_status",
		"a\nb": "a_b", strings.Repeat("x", 300): strings.Repeat("x", 128),
	} {
		want = strings.ReplaceAll(want, "/", "_")
		if got := SanitizeName(text); got != want || !IsName(got) {
			t.Errorf("%q: %q", text, got)
		}
		if IsName(text) != (text == want) {
			t.Errorf("IsName(%q)", text)
		}
	}
}

func TestMergeOrdersByTime(t *testing.T) {
	dir := t.TempDir()
	write(t, Path(dir, "a")+".1", at(0, "a", "1"))
	write(t, Path(dir, "a"), at(2, "a", "3"), at(5, "a", "6"))
	write(t, Path(dir, "b"), at(1, "b", "2"), at(3, "b", "4"), at(4, "b", "5"))
	if got := texts(t, cursor(t, dir, "a", true), cursor(t, dir, "b", true)); got != "1 2 3 4 5 6" {
		t.Error(got)
	}
}

func TestCursorFollowsRotation(t *testing.T) {
	dir := t.TempDir()
	path := Path(dir, "a")
	write(t, path, at(0, "a", "1"))
	c := cursor(t, dir, "a", true)
	if got := texts(t, c); got != "1" {
		t.Error(got)
	}
	write(t, path, at(1, "a", "2"))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, at(2, "a", "3"))
	if got := texts(t, c); got != "2 3" {
		t.Error(got)
	}
	write(t, path, at(3, "a", "4"))
	if got := texts(t, c); got != "4" {
		t.Error(got)
	}
}

func TestFreezeLimitsCursor(t *testing.T) {
	dir := t.TempDir()
	write(t, Path(dir, "a")+".1", at(0, "a", "0"))
	write(t, Path(dir, "a"), at(0, "a", "1"))
	c := cursor(t, dir, "a", true)
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	write(t, Path(dir, "a"), at(1, "a", "2"))
	if got := texts(t, c); got != "0 1" {
		t.Error(got)
	}
}

func TestSkipToEnd(t *testing.T) {
	dir := t.TempDir()
	write(t, Path(dir, "a")+".1", at(0, "a", "0"))
	write(t, Path(dir, "a"), at(0, "a", "1"))
	c := cursor(t, dir, "a", true)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	write(t, Path(dir, "a"), at(1, "a", "2"))
	if got := texts(t, c); got != "2" {
		t.Error(got)
	}
}

// Between the rename of the newer file and the next line, there is only the older one.
func TestCursorReadsALogWithoutItsNewerFile(t *testing.T) {
	dir := t.TempDir()
	write(t, Path(dir, "a")+".1", at(0, "a", "0"))
	c := cursor(t, dir, "a", true)
	if got := texts(t, c); got != "0" {
		t.Error(got)
	}
	write(t, Path(dir, "a"), at(1, "a", "1"))
	if got := texts(t, c); got != "1" {
		t.Error(got)
	}
	if _, err := OpenCursor(dir, "b", true); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestNextWaitsForCompleteLine(t *testing.T) {
	dir := t.TempDir()
	line := string(at(0, "a", "whole").AppendLine(nil))
	file, err := os.Create(Path(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprint(file, line[:30])
	c := cursor(t, dir, "a", true)
	if got := texts(t, c); got != "" {
		t.Error(got)
	}
	fmt.Fprint(file, line[30:])
	if got := texts(t, c); got != "whole" {
		t.Error(got)
	}
}

func TestCursorSplitsLongLines(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(Path(dir, "a"), []byte(strings.Repeat("x", 100<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	count := 0
	_ = Merge([]*Cursor{cursor(t, dir, "a", true)}, func(e Entry) error { count += len(e.Text); return nil })
	if count < 90<<10 {
		t.Error(count)
	}
}

func TestSourcesListsRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, Path(dir, "b"), at(0, "b", ""))
	write(t, Path(dir, "a"), at(0, "a", ""))
	write(t, Path(dir, "a")+".1", at(0, "a", ""))
	write(t, filepath.Join(dir, "lastlog"), at(0, "x", ""))
	if err := os.Symlink("/etc/passwd", Path(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got, err := Sources(dir)
	if err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := OpenCursor(dir, "link", true); err == nil {
		t.Error("followed a link")
	}
}

func TestPrintable(t *testing.T) {
	if got := Printable("a\tb\x1b[31m\x7f\u009bé"); got != "a\tb?[31m??é" {
		t.Errorf("%q", got)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("2020-02-29T12:00:00.000000Z text"))
	f.Add([]byte("2020-02-29T12:00:00,000000Z a comma"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, good := ParseLine("x", line); good && string(e.AppendLine(nil)) != string(line)+"\n" {
			t.Errorf("%q is read as %v", line, e)
		}
	})
}
