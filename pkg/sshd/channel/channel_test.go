package channel

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/sshd/message"
)

func open(t *testing.T) (a, b *Conn) {
	t.Helper()
	one, other, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = Open(one); err != nil {
		t.Fatal(err)
	}
	if b, err = Open(other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestReceiveReturnsMessageAndFiles(t *testing.T) {
	a, b := open(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := a.Send(&message.Started{Channel: 4, OK: true}, int(write.Fd())); err != nil {
		t.Fatal(err)
	}
	write.Close()
	m, files, err := b.Receive(func(message.Message) int { return 1 })
	if err != nil || m.(*message.Started).Channel != 4 {
		t.Fatal(m, err)
	}
	if _, err := unix.Write(files[0], []byte("x")); err != nil {
		t.Error(err)
	}
	CloseAll(files)
	if data, err := io.ReadAll(read); string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
}

// A process must not make another one keep files open.
func TestReceiveClosesUnexpectedFiles(t *testing.T) {
	a, b := open(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := a.Send(&message.Close{Channel: 4}, int(write.Fd())); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if _, _, err := b.Receive(nil); !errors.Is(err, message.ErrInvalid) {
		t.Error(err)
	}
	if data, err := io.ReadAll(read); len(data) > 0 || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestReceiveEndsWithTheOtherEnd(t *testing.T) {
	a, b := open(t)
	a.Close()
	if _, _, err := b.Receive(nil); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
