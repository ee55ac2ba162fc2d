package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestServeAnswersRequestsAndSkipsOtherLines(t *testing.T) {
	in := strings.NewReader("noise\n{\"id\":1,\"service\":\"web\",\"command\":[\"/a\"],\"seconds\":2}\n\n[]\n" +
		"{\"id\":2,\"service\":\"../web\",\"command\":[\"/a\"],\"seconds\":2}\n")
	var out bytes.Buffer
	var ran []request
	err := serve(in, &out, func(r request) response {
		ran = append(ran, r)
		return response{ID: r.ID, Status: 3, Stdout: "a\n\xff"}
	})
	if err != nil || !reflect.DeepEqual(ran, []request{{1, "web", []string{"/a"}, 2}}) {
		t.Error(ran, err)
	}
	want := "{\"id\":1,\"status\":3,\"stdout\":\"a\\n\\ufffd\",\"stderr\":\"\"}\n" +
		"{\"id\":2,\"status\":0,\"stdout\":\"\",\"stderr\":\"\",\"error\":\"\\\"../web\\\" is not the name of a service\"}\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestServeRejectsLongLine(t *testing.T) {
	in := strings.NewReader(strings.Repeat("x", maxRequest+1) + "\n")
	if err := serve(in, &bytes.Buffer{}, execute); err == nil {
		t.Error("a line beyond the limit is accepted")
	}
}

func TestProblemNamesInvalidRequests(t *testing.T) {
	for _, r := range []request{
		{1, "", []string{"a"}, 1}, {1, "-x", []string{"a"}, 1}, {1, "a/b", []string{"a"}, 1},
		{1, "web", nil, 1}, {1, "web", []string{""}, 1},
		{1, "web", []string{"a"}, 0}, {1, "web", []string{"a"}, maxSeconds + 1},
	} {
		if r.problem() == "" {
			t.Errorf("%+v is accepted", r)
		}
	}
}

func TestPrefixKeepsTheBeginning(t *testing.T) {
	var p prefix
	for range 3 {
		if n, err := p.Write(bytes.Repeat([]byte("x"), maxOutput/2+1)); n != maxOutput/2+1 || err != nil {
			t.Error(n, err)
		}
	}
	if len(p) != maxOutput {
		t.Error(len(p))
	}
}

func TestStateOptionsFindTheNamespaceOfContainerd(t *testing.T) {
	dir := t.TempDir()
	if found := stateOptions(dir, "web"); found != nil {
		t.Error(found)
	}
	namespace := filepath.Join(dir, "services.linuxkit")
	if err := os.MkdirAll(filepath.Join(namespace, "web"), 0o700); err != nil {
		t.Fatal(err)
	}
	if found := stateOptions(dir, "web"); !reflect.DeepEqual(found, []string{"--root", namespace}) {
		t.Error(found)
	}
}
