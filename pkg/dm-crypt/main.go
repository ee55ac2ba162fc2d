// Command crypto makes a device whose content is encrypted on another one, and a file system in it if that is new. LinuxKit's
// arguments.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lkt/storage/mapper"
)

// keys is where the names of keys begin that are not absolute.
const keys = "/etc/dm-crypt"

func main() {
	var r request
	for _, name := range []string{"l", "luks"} {
		flag.BoolVar(&r.luks, name, false, "keep a header of LUKS2 on the device")
	}
	for _, name := range []string{"k", "key-file"} {
		flag.StringVar(&r.key, name, "key", "file with the key, below "+keys)
	}
	flag.Parse()
	r.name, r.device = flag.Arg(0), flag.Arg(1)

	err := errors.New("crypto [-l|--luks] [-k|--key-file FILE] NAME DEVICE")
	if flag.NArg() == 2 {
		err = run(r)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "crypto: %v\n", err)
		os.Exit(1)
	}
}

// request is what the command line asks for.
type request struct {
	luks              bool
	key, name, device string
}

func say(format string, arguments ...any) {
	fmt.Printf("crypto: "+format+"\n", arguments...)
}

func run(r request) error {
	if err := mapper.CheckName(r.name); err != nil {
		return err
	}
	secret, err := readKey(r)
	if err != nil {
		return err
	}
	source, err := open(r)
	if err != nil {
		return err
	}
	defer source.File.Close()
	crypt, fresh, err := describe(r, source, secret)
	if err != nil {
		return fmt.Errorf("%s: %w", r.device, err)
	}
	// The mapping cannot have what is open exclusively.
	if err := source.File.Close(); err != nil {
		return err
	}
	return start(r.name, crypt, fresh)
}

const (
	// 256 bits, as cryptsetup takes for a cipher that does not say how many.
	plainKey = 32
	maxKey   = 8 << 20
)

// readKey reads what the cipher has for its key, or all there is for LUKS.
func readKey(r request) ([]byte, error) {
	path := r.key
	if !strings.HasPrefix(path, "/") {
		path = filepath.Join(keys, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxKey {
		return nil, fmt.Errorf("the key %s is no file of 1 to %d bytes", path, maxKey)
	}
	key, err := os.ReadFile(path)
	if err != nil || r.luks {
		return key, err
	}
	if len(key) < plainKey {
		return nil, fmt.Errorf("the key %s has %d bytes, not %d", path, len(key), plainKey)
	}
	return key[:plainKey], nil
}
