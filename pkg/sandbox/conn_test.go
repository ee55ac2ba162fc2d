package sandbox

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnKeepsMessageBoundaries(t *testing.T) {
	a, b, err := NewPair()
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, MaxMessage)
	for _, size := range []int{1, MaxMessage} {
		message := bytes.Repeat([]byte{'x'}, size)
		if err := errors.Join(a.Send(message), a.Send([]byte("next"))); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Receive(buffer); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if got, err := b.Receive(buffer); err != nil || string(got) != "next" {
			t.Errorf("%q, %v", got, err)
		}
	}
	for _, size := range []int{0, MaxMessage + 1} {
		if err := a.Send(make([]byte, size)); err == nil {
			t.Errorf("sent %d bytes", size)
		}
	}
	unix.Close(int(a))
	if _, err := b.Receive(buffer); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := b.Send([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
