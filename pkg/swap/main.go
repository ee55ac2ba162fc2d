// Command swap enables swap in a file or on a disk. The arguments are LinuxKit's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"lkt/storage/reader"
)

func main() {
	reader.Serve()
	var r request
	var size string
	flag.StringVar(&r.path, "path", "", "`file` in /var, or disk in /dev")
	flag.StringVar(&size, "size", "", "`size` of the file: a number of bytes, or with K, M or G")
	flag.BoolVar(&r.encrypt, "encrypt", false, "encrypt with a random key that is not stored")
	flag.Func("condition", "`condition` for the start: part:PATH[:true] or partsize:PATH:SIZE[:true]", func(text string) error {
		c, err := parseCondition(text)
		r.conditions = append(r.conditions, c)
		return err
	})
	flag.Bool("debug", false, "no effect (a LinuxKit flag)")
	flag.Parse()

	err := r.parse(size, flag.Args())
	if err == nil {
		err = run(r)
	}
	if errors.Is(err, errSkipped) {
		fmt.Printf("swap: %v\n", err)
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "swap: %v\n", err)
		os.Exit(1)
	}
}

func run(r request) error {
	for _, c := range r.conditions {
		if err := c.check(); err != nil {
			return err
		}
	}
	parser, err := reader.Start()
	if err != nil {
		return err
	}
	area, err := prepare(parser, r)
	if err != nil {
		return err
	}
	if err := swapOn(area); err != nil {
		return err
	}
	fmt.Printf("swap: %s is in use%s\n", r.path, map[bool]string{true: ", encrypted"}[r.encrypt])
	return nil
}
