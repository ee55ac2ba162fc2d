package disktest

import (
	"os"

	"lkt/storage/disk"
	"lkt/storage/reader"
	"lkt/storage/table"
)

// Parser parses in the process of a test, which lacks the privilege to start another one.
type Parser struct{}

var _ reader.Parser = Parser{}

// Filesystem implements [reader.Parser].
func (Parser) Filesystem(device *os.File) (disk.Filesystem, error) { return disk.Probe(device) }

// Extent implements [reader.Parser].
func (Parser) Extent(device *os.File, kind string, size int64) (disk.Extent, error) {
	return disk.ExtentOf(device, kind, size)
}

// IsUnusedExt4 implements [reader.Parser].
func (Parser) IsUnusedExt4(device *os.File) (bool, error) { return disk.IsUnusedExt4(device), nil }

// Plan implements [reader.Parser].
func (Parser) Plan(device *os.File, of table.Disk) (table.Plan, error) {
	return table.MakePlan(device, of)
}
