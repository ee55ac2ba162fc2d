package sftp

import (
	"bytes"
	"io"
	"testing"

	"github.com/pkg/sftp"
)

type discarded struct{ io.Writer }

func (discarded) Close() error { return nil }

// No bytes of a client end the process other than by an error, or make it wait for more than there
// are. Without slashes, a request names only files of the working directory.
func FuzzServer(f *testing.F) {
	initialize := "\x00\x00\x00\x05\x01\x00\x00\x00\x03"
	for _, request := range []string{
		// REALPATH, OPENDIR, READDIR, OPEN and READ.
		"\x00\x00\x00\x0a\x10\x00\x00\x00\x01\x00\x00\x00\x01.",
		"\x00\x00\x00\x0a\x0b\x00\x00\x00\x02\x00\x00\x00\x01.",
		"\x00\x00\x00\x0a\x0c\x00\x00\x00\x03\x00\x00\x00\x010",
		"\x00\x00\x00\x12\x03\x00\x00\x00\x04\x00\x00\x00\x01x\x00\x00\x00\x01\x00\x00\x00\x00",
		"\x00\x00\x00\x16\x05\x00\x00\x00\x05\x00\x00\x00\x010\x00\x00\x00\x00\x00\x00\x00\x00\xff",
		"\xff\xff\xff\xff\x05",
		"\x00\x00\x00\x00",
	} {
		f.Add([]byte(initialize + request))
	}
	directory := f.TempDir()
	f.Fuzz(func(t *testing.T, input []byte) {
		if bytes.ContainsRune(input, '/') {
			return
		}
		server, err := sftp.NewServer(stream{bytes.NewReader(input), discarded{io.Discard}}, sftp.WithServerWorkingDirectory(directory))
		if err != nil {
			t.Fatal(err)
		}
		_ = server.Serve()
	})
}
