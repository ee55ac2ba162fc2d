package main

import (
	"reflect"
	"testing"
)

func TestSwapAreas(t *testing.T) {
	const text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" +
		"/dm-0                                   partition\t7164\t\t0\t\t-3\n" +
		"/a\\040swap                              file\t\t8184\t\t0\t\t-2\n"
	if got, want := swapAreas(text), []string{"/dm-0", "/a swap"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := swapAreas("Filename\tType\n"); len(got) != 0 {
		t.Errorf("without an area: %q", got)
	}
}
