package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

const (
	host = "/host"
	// digestAddress is the address of serve-digest in the machine's network.
	digestAddress = "127.0.0.1:4243"
)

// digest returns a digest of the file tree at root: types, modes, owners and contents.
func digest(root string) string {
	sum, count := sha256.New(), 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat syscall.Stat_t
		if err := syscall.Lstat(path, &stat); err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %o %d %d\n", path, stat.Mode, stat.Uid, stat.Gid)
		count++
		switch {
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(sum, "%s\n", target)
			return err
		case entry.Type().IsRegular():
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = io.Copy(sum, file)
			return err
		}
		return nil
	})
	if err != nil {
		fmt.Println("digest failed:", err)
		os.Exit(1)
	}
	return fmt.Sprintf("digest of %d files: %x", count, sum.Sum(nil))
}

func serveDigest() {
	listener, err := net.Listen("tcp", digestAddress)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("digest: ready")
	for {
		client, err := listener.Accept()
		if err != nil {
			continue
		}
		fmt.Fprintln(client, digest(host))
		client.Close()
	}
}

func askDigest() {
	server, err := net.Dial("tcp", digestAddress)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, _ = io.Copy(os.Stdout, server)
}
