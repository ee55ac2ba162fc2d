package main

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-bqv", "dummy", "numdummies=2", "x=y"})
	if err != nil || !o.quiet || !o.verbose || !slices.Equal(o.names, []string{"dummy"}) || o.parameters != "numdummies=2 x=y" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse([]string{"-a", "dummy", "veth"}); err != nil || len(o.names) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{}, {"-r", "dummy"}, {"dummy", "veth"}, {"--show-depends", "x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}
