package main

import (
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args []string
		want request
	}{
		{[]string{"pcr", "11", "7"}, request{Command: "pcr", Registers: []uint{7, 11}}},
		{[]string{"random", "16"}, request{Command: "random", Size: 16}},
		{[]string{"eventlog"}, request{Command: "eventlog"}},
		{[]string{"seal", "/a", "/b"}, request{Command: "seal", Registers: defaultRegisters, Source: "/a", Sealed: "/b"}},
		{
			[]string{"unseal", "-create", "32", "-pcrs", "12,11", "-once", "/a", "/b"},
			request{Command: "unseal", Registers: []uint{11, 12}, Size: 32, Once: true, Sealed: "/a", Target: "/b"},
		},
	} {
		got, err := parse(c.args)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v", c.args, got, err)
		}
	}
	if r, err := parse([]string{"pcr"}); err != nil || len(r.Registers) != 24 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, args := range [][]string{
		{}, {"clear"}, {"pcr", "24"}, {"pcr", "-1"}, {"pcr", "7", "7"}, {"random"}, {"random", "0"}, {"random", "x"}, {"eventlog", "x"},
		{"seal", "/a"}, {"seal", "a", "/b"}, {"seal", "-once", "/a", "/b"}, {"seal", "-pcrs"}, {"seal", "-pcrs", "", "/a", "/b"},
		{"unseal", "-create", "129", "/a", "/b"}, {"unseal", "-pcrs", "7", "/a", "/b"}, {"unseal", "/a", "/b", "/c"},
	} {
		if r, err := parse(args); err == nil {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
