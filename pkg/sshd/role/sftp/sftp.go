// Package sftp is the process that serves files over standard input and output, with the rights of
// the user. It starts no program and opens no socket.
package sftp

import (
	"io"
	"os"

	"github.com/pkg/sftp"
)

type stream struct {
	io.Reader
	io.WriteCloser
}

// Run serves the client until it ends.
func Run(enter func() error) error {
	if err := enter(); err != nil {
		return err
	}
	server, err := sftp.NewServer(stream{os.Stdin, os.Stdout})
	if err != nil {
		return err
	}
	return server.Serve()
}
