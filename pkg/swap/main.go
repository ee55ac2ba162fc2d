// Command swap makes a file or a disk the place where the kernel puts memory it has no room for. LinuxKit's arguments.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	var r request
	var size string
	flag.StringVar(&r.path, "path", "", "file below /var, or disk below /dev")
	flag.StringVar(&size, "size", "", "size of a file: a number of bytes, or with K, M or G")
	flag.BoolVar(&r.encrypt, "encrypt", false, "encrypt with a key that nobody keeps")
	flag.Func("condition", "part:PATH[:true] or partsize:PATH:SIZE[:true]", func(text string) error {
		c, err := parseCondition(text)
		r.conditions = append(r.conditions, c)
		return err
	})
	flag.Bool("debug", false, "nothing: LinuxKit has it")
	flag.Parse()

	err := r.parse(size, flag.Args())
	if err == nil {
		err = run(r)
	}
	if errors.Is(err, errNotNow) {
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
	area, err := prepare(r)
	if err != nil {
		return err
	}
	if err := on(area); err != nil {
		return err
	}
	fmt.Printf("swap: %s is in use%s\n", r.path, map[bool]string{true: ", encrypted"}[r.encrypt])
	return nil
}
