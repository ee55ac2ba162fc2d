package main

import (
	"io"
	"os"
)

const maxIssue = 4096

// readIssue returns at most 4 KiB of the greeting of the machine, or nothing.
func readIssue(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxIssue))
	if err != nil {
		return ""
	}
	return string(text)
}
