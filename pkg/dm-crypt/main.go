// Command crypto maps an encrypted device, and creates a file system on it if it is new. The
// arguments are LinuxKit's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lkt/sandbox"
	"lkt/storage/mapper"
	"lkt/storage/reader"
)

// keyDir is the directory of relative key file names.
const keyDir = "/etc/dm-crypt"

func main() {
	reader.Serve()
	if err := start(); err != nil {
		fmt.Fprintf(os.Stderr, "crypto: %v\n", err)
		os.Exit(1)
	}
}

func start() error {
	roles, role, err := sandbox.Load("crypto", rolesFile, &struct{}{})
	if err != nil {
		return err
	}
	if role != nil {
		return runUnlock(*role)
	}
	var r request
	for _, name := range []string{"l", "luks"} {
		flag.BoolVar(&r.luks, name, false, "use a LUKS2 header")
	}
	for _, name := range []string{"k", "key-file"} {
		flag.StringVar(&r.key, name, "key", "key `file`, relative to "+keyDir)
	}
	flag.Parse()
	r.name, r.device = flag.Arg(0), flag.Arg(1)

	if flag.NArg() != 2 {
		return errors.New("usage: crypto [-l|--luks] [-k|--key-file FILE] NAME DEVICE")
	}
	parser, err := reader.Start()
	if err != nil {
		return err
	}
	return run(parser, r, unlock(roles))
}

// request has the arguments of the command line.
type request struct {
	luks              bool
	key, name, device string
}

func report(format string, arguments ...any) {
	fmt.Printf("crypto: "+format+"\n", arguments...)
}

func run(p reader.Parser, r request, open opener) error {
	if err := mapper.CheckName(r.name); err != nil {
		return err
	}
	secret, err := readKey(r)
	if err != nil {
		return err
	}
	source, err := openDrive(r)
	if err != nil {
		return err
	}
	defer source.File.Close()
	crypt, fresh, err := describe(p, r, source, secret, open)
	if err != nil {
		return fmt.Errorf("%s: %w", r.device, err)
	}
	// The device mapper cannot use a device that is open exclusively.
	if err := source.File.Close(); err != nil {
		return err
	}
	return mapDevice(p, r.name, crypt, fresh)
}

const (
	// 256 bits, cryptsetup's default.
	plainKey = 32
	maxKey   = 8 << 20
)

// readKey returns the contents of the key file, for a plain device truncated to the size of its
// key.
func readKey(r request) ([]byte, error) {
	path := r.key
	if !strings.HasPrefix(path, "/") {
		path = filepath.Join(keyDir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxKey {
		return nil, fmt.Errorf("the key %s is not a file of 1 to %d bytes", path, maxKey)
	}
	key, err := os.ReadFile(path)
	if err != nil || r.luks {
		return key, err
	}
	if len(key) < plainKey {
		return nil, fmt.Errorf("the key %s has %d bytes, expected %d", path, len(key), plainKey)
	}
	return key[:plainKey], nil
}
