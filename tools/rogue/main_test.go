package main

import "testing"

func TestParseRejectsInvalidFrames(t *testing.T) {
	for _, text := range []string{"", "00", "zz", "ffffffffffff020000000001080"} {
		if frames, err := parse([]string{text}); err == nil {
			t.Errorf("%q: got %v", text, frames)
		}
	}
	if frames, err := parse([]string{"ffffffffffff0200000000010806"}); err != nil || len(frames) != 1 || len(frames[0]) != 14 {
		t.Errorf("%v, %v", frames, err)
	}
}
