// Package reader parses what disks contain in a process without privileges, for programs that
// format, mount and map them: an attacker may have written to a disk.
//
// The process lives as long as its program. The program opens devices, passes them to the process
// one by one, and validates the answers.
package reader

import (
	"fmt"
	"os"

	"lkt/storage/disk"
	"lkt/storage/table"
)

// Parser parses the content of a device.
type Parser interface {
	disk.Prober
	// Extent returns the size of a file system on a device of size bytes ([disk.ExtentOf]).
	Extent(device *os.File, kind string, size int64) (disk.Extent, error)
	// IsUnusedExt4 is [disk.IsUnusedExt4].
	IsUnusedExt4(device *os.File) (bool, error)
	// Plan returns the partitions, and how to enlarge the only one ([table.MakePlan]).
	Plan(device *os.File, of table.Disk) (table.Plan, error)
}

// request is what a program asks about the device that it passes.
type request struct {
	Kind string
	Type string     `json:",omitempty"`
	Size int64      `json:",omitempty"`
	Disk table.Disk `json:",omitzero"`
}

const (
	askFilesystem = "filesystem"
	askExtent     = "extent"
	askUnused     = "unused"
	askPlan       = "plan"
)

// answer is the result of a request, or an error.
type answer struct {
	Filesystem *disk.Filesystem `json:",omitempty"`
	Extent     *disk.Extent     `json:",omitempty"`
	Unused     *bool            `json:",omitempty"`
	Plan       *table.Plan      `json:",omitempty"`
	Error      string           `json:",omitempty"`
	// Is is the number in known, from 1, of the error that a program distinguishes.
	Is int `json:",omitempty"`
}

var known = []error{disk.ErrNone, disk.ErrAmbiguous, table.ErrNone}

// error returns the error of an answer.
func (a answer) error() error {
	switch {
	case a.Is > 0 && a.Is <= len(known):
		return parseError{clean(a.Error), known[a.Is-1]}
	case a.Error != "":
		return parseError{text: clean(a.Error)}
	}
	return nil
}

// parseError has the text of an error of the other process.
type parseError struct {
	text string
	is   error
}

func (e parseError) Error() string { return e.text }
func (e parseError) Unwrap() error { return e.is }

const maxText = 1024

// clean returns a text without what a terminal would interpret.
func clean(text string) string {
	var b []rune
	for _, c := range text[:min(len(text), maxText)] {
		if c < ' ' || c == 0x7f || c > 0x7e && c < 0xa0 {
			c = '?'
		}
		b = append(b, c)
	}
	return string(b)
}

// errMalformed means that the other process does not follow the protocol.
func errMalformed(why any) error { return fmt.Errorf("malformed answer of the disk reader: %v", why) }
