package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/dm-crypt/luks"
	"lkt/sandbox"
)

func TestMain(m *testing.M) {
	if os.Args[0] == "crypto-unlock" {
		if err := start(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestUnlocksInConfinedProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("dropping capabilities needs root")
	}
	roles, err := sandbox.Parse("crypto", rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	d := source(t)
	made, err := luks.Create(d.File, d.Size, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	open := unlock(roles)
	got, err := open(d.File, []byte(secret))
	if err != nil || string(got.Key) != string(made.Key) || got.UUID != made.UUID || got.Offset != made.Offset {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := open(d.File, []byte("another")); !errors.Is(err, luks.ErrKey) {
		t.Error(err)
	}
	if _, err := open(source(t).File, []byte(secret)); !errors.Is(err, luks.ErrNotLUKS) {
		t.Error(err)
	}

	// While the process waits for a key without end, its privileges can be seen.
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ours, theirs, err := sandbox.NewPair()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := roles["unlock"].Start(struct{}{}, int(theirs), dup(t, file), dup(t, in)); err != nil {
		t.Fatal(err)
	}
	// Wait until it has entered its role.
	for seen := ""; !strings.Contains(seen, "Seccomp:\t2\n"); {
		seen = statusOf("crypto-unlock")
		if strings.Contains(seen, "Seccomp:\t2\n") {
			for _, line := range []string{"NoNewPrivs:\t1", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"} {
				if !strings.Contains(seen, line+"\n") {
					t.Errorf("lacks %q", line)
				}
			}
		}
	}
	out.Close()
	if message, err := ours.Receive(make([]byte, sandbox.MaxMessage)); err != nil {
		t.Errorf("%s, %v", message, err)
	}
}

func dup(t *testing.T, file *os.File) int {
	t.Helper()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// statusOf returns the status of a child with the name, or "".
func statusOf(name string) string {
	all, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		if strings.HasPrefix(string(text), "Name:\t"+name+"\n") && strings.Contains(string(text), "\nPPid:\t"+strconv.Itoa(os.Getpid())+"\n") &&
			!strings.Contains(string(text), "State:\tZ") {
			return string(text)
		}
	}
	return ""
}
