package reader

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/storage/disk"
	"lkt/storage/table"
)

func TestMain(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

const size = 8 << 20

// medium returns a file of size bytes with the given texts.
func medium(t testing.TB, content map[int64]string) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	for at, text := range content {
		if _, err := file.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return file
}

func start(t *testing.T) *Reader {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("dropping capabilities needs root")
	}
	r, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(int(r.conn)) })
	return r
}

var ext4 = map[int64]string{
	1024: "\x0b\x00\x00\x00\x00\x08\x00\x00", 1048: "\x02", 1080: "\x53\xef", 1116: "\x04\x00\x00\x00\x40\x00\x00\x00", 1144: "data",
}

func TestReaderParsesInConfinedProcess(t *testing.T) {
	r := start(t)
	if found, err := r.Filesystem(medium(t, ext4)); err != nil || found != (disk.Filesystem{Type: "ext4", Label: "data"}) {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := r.Extent(medium(t, ext4), "ext4", size); err != nil || found != (disk.Extent{Block: 4096, Blocks: 2048}) {
		t.Errorf("%+v, %v", found, err)
	}
	if unused, err := r.IsUnusedExt4(medium(t, ext4)); err != nil || !unused {
		t.Error(unused, err)
	}
	if unused, err := r.IsUnusedExt4(medium(t, nil)); err != nil || unused {
		t.Error(unused, err)
	}
	for want, content := range map[error]map[int64]string{
		disk.ErrNone: nil, disk.ErrAmbiguous: {0: "XFSB", 1080: "\x53\xef"},
	} {
		if _, err := r.Filesystem(medium(t, content)); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	if _, err := r.Plan(medium(t, nil), table.Disk{Size: size, Sector: 512}); !errors.Is(err, table.ErrNone) {
		t.Error(err)
	}
	if _, err := r.Extent(medium(t, nil), "ext4", size); err == nil || !strings.Contains(err.Error(), "invalid superblock") {
		t.Error(err)
	}
}

// The largest plan has many times the size of a message.
func TestReaderReturnsPlans(t *testing.T) {
	r := start(t)
	for _, kind := range []string{"dos", "gpt"} {
		file := medium(t, nil)
		made := table.Disk{Size: size / 2, Sector: 512}
		layout, err := table.Make(kind, made, table.Identity{Disk: [16]byte{1, 2, 3, 4}, Partition: [16]byte{5}})
		if err == nil {
			err = layout.Write(file, made.Size)
		}
		if err != nil {
			t.Fatal(err)
		}
		of := table.Disk{Size: size, Sector: 512}
		want, err := table.MakePlan(file, of)
		if err != nil || want.Growth == nil {
			t.Fatal(want, err)
		}
		got, err := r.Plan(file, of)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", kind, got.Partitions, err)
		}
	}
}

func TestReaderHasPrivilegesOfItsRole(t *testing.T) {
	r := start(t)
	// It has entered its role once it answers.
	if _, err := r.Filesystem(medium(t, ext4)); err != nil {
		t.Fatal(err)
	}
	all, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		parent := fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())
		if !strings.HasPrefix(string(text), "Name:\tstorage-reader\n") || !strings.Contains(string(text), parent) {
			continue
		}
		for _, line := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("lacks %q:\n%s", line, text)
			}
		}
		return
	}
	t.Error("no process storage-reader")
}

func TestReaderSaysThatItsProcessEnded(t *testing.T) {
	ours, theirs, err := sandbox.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(int(ours))
	unix.Close(int(theirs))
	if _, err := (&Reader{ours}).Filesystem(medium(t, nil)); err == nil || !strings.Contains(err.Error(), "the process that reads disks ended") {
		t.Error(err)
	}
}

// The process may be in the hands of an attacker.
func TestReaderRejectsInvalidAnswers(t *testing.T) {
	grown := table.Partition{Number: 1, Start: 1 << 20, Size: 7 << 20, Linux: true}
	old := grown
	old.Size = 1 << 20
	for name, a := range map[string]any{
		"nothing":        answer{},
		"no JSON":        "x",
		"type":           answer{Filesystem: &disk.Filesystem{Type: "proc"}},
		"UUID":           answer{Filesystem: &disk.Filesystem{Type: "ext4", UUID: "../../../etc/passwd"}},
		"extent":         answer{Extent: &disk.Extent{Block: 4096, Blocks: 1 << 60}},
		"write to data":  answer{Plan: &table.Plan{Partitions: []table.Partition{old}, Growth: &table.Growth{Partition: grown, Areas: []table.Area{{At: 1 << 20, Bytes: []byte{1}}}}}},
		"write too far":  answer{Plan: &table.Plan{Partitions: []table.Partition{old}, Growth: &table.Growth{Partition: grown, Areas: []table.Area{{At: size, Bytes: []byte{1}}}}}},
		"long partition": answer{Plan: &table.Plan{Partitions: []table.Partition{{Number: 1, Start: 1 << 20, Size: 8 << 20}}}},
	} {
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		file := medium(t, nil)
		for method, call := range map[string]func(*Reader) error{
			"Filesystem":   func(r *Reader) error { _, err := r.Filesystem(file); return err },
			"Extent":       func(r *Reader) error { _, err := r.Extent(file, "ext4", size); return err },
			"IsUnusedExt4": func(r *Reader) error { _, err := r.IsUnusedExt4(file); return err },
			"Plan":         func(r *Reader) error { _, err := r.Plan(file, table.Disk{Size: size, Sector: 512}); return err },
		} {
			ours, theirs, err := sandbox.NewPair()
			if err != nil {
				t.Fatal(err)
			}
			// The answer waits before the question.
			if err := theirs.Send(text); err != nil {
				t.Fatal(err)
			}
			if err := call(&Reader{ours}); err == nil {
				t.Errorf("%s: %s accepted %s", name, method, text)
			}
			unix.Close(int(ours))
			unix.Close(int(theirs))
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"Filesystem": {"Type": "ext4", "Label": "\u001b"}}`))
	f.Add([]byte(`{"Plan": {"Partitions": [{"Number": 1, "Start": 512, "Size": 512}], "Growth": {}}}`))
	f.Add([]byte(`{"Error": "\u001b[2J", "Is": 4}`))
	of := table.Disk{Size: size, Sector: 512}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 || len(text) >= sandbox.MaxMessage {
			return
		}
		ours, theirs, err := sandbox.NewPair()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(int(ours))
		defer unix.Close(int(theirs))
		if err := theirs.Send(text); err != nil {
			t.Fatal(err)
		}
		a, err := receiveAnswer(ours)
		if err != nil {
			return
		}
		if err := a.error(); err != nil && strings.ContainsAny(err.Error(), "\x1b\n\r\x00\x7f") {
			t.Fatalf("%q", err)
		}
		if a.Plan != nil && a.Plan.Check(of) == nil && a.Plan.Growth != nil {
			for _, area := range a.Plan.Growth.Areas {
				if area.At < 0 || area.At+int64(len(area.Bytes)) > size {
					t.Fatalf("%+v", area)
				}
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"Kind": "plan", "Disk": {"Size": 8388608, "Sector": 512}}`), []byte("x"))
	f.Add([]byte(`{"Kind": "extent", "Type": "xfs", "Size": -1}`), []byte("XFSB"))
	f.Fuzz(func(t *testing.T, text, content []byte) {
		var asked request
		if json.Unmarshal(text, &asked) != nil {
			return
		}
		if a := parse(asked, strings.NewReader(string(content))); a.error() == nil && a.Filesystem == nil && a.Extent == nil && a.Unused == nil && a.Plan == nil {
			t.Fatalf("%s: %+v", text, a)
		}
	})
}
