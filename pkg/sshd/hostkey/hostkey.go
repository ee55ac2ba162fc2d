// Package hostkey keeps the key that identifies the machine.
package hostkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"lkt/atomicfile"
)

// Name is the name of the file, in OpenSSH's format.
const Name = "ssh_host_ed25519_key"

// MaxSize is the maximum size of the file in bytes.
const MaxSize = 4096

// Open opens the host key's file in a directory for reading. It creates the key if the file does
// not exist.
func Open(directory string) (*os.File, error) {
	path := filepath.Join(directory, Name)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		err = fmt.Errorf("%s: others may read it, or it is not a file\n  fix: chmod 600 %s", path, path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func create(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	// The fingerprint is announced next: a loss of power must not change it.
	return atomicfile.Write(path, pem.EncodeToMemory(block), 0o600)
}

// Parse parses a host key. Only ed25519 keys are accepted, which need no random numbers to sign.
func Parse(text []byte) (ssh.Signer, error) {
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	if key.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("a key of type %s instead of %s", key.PublicKey().Type(), ssh.KeyAlgoED25519)
	}
	return key, nil
}
