// Package roots reads the list of file systems that are files of the initramfs, and verifies each.
//
// erofs has checksums of its metadata only, so damaged contents would go unnoticed. The CRC-32 here
// detects damage, not attacks: an attacker who can change the initramfs can change PID 1 too.
// Protection against that is up to the boot loader.
//
// Format: a line "lkt-roots 1 COUNT", then COUNT lines "SUM FILE TARGET". SUM is eight hexadecimal
// digits, FILE has no leading slash, TARGET has one; both escape special bytes as %XX.
package roots

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"

	"lkt/init/manifest"
)

// Path is the path of the list in an image that has one.
const Path = "/usr/share/lkt/roots"

const maxRoots = 1 << 16

// Root is one file system.
type Root struct {
	Sum    uint32 // CRC-32, IEEE
	File   string // relative to the root
	Target string // relative to the root; empty for the root itself
}

// Read parses the list in r. The first entry is the root.
func Read(r io.Reader) ([]Root, error) {
	lines := bufio.NewScanner(r)
	lines.Scan()
	fields := strings.Split(lines.Text(), " ")
	if len(fields) != 3 || fields[0] != "lkt-roots" || fields[1] != "1" {
		return nil, errors.New("not a list of roots, or of an unknown version")
	}
	want, err := strconv.Atoi(fields[2])
	if err != nil || want < 1 || want > maxRoots {
		return nil, fmt.Errorf("invalid count of roots %q", fields[2])
	}
	var list []Root
	for lines.Scan() {
		root, err := parse(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("roots line %d: %w", len(list)+2, err)
		}
		list = append(list, root)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) != want {
		return nil, fmt.Errorf("got %d roots, expected %d", len(list), want)
	}
	if list[0].Target != "" {
		return nil, errors.New("the first entry is not the root")
	}
	return list, nil
}

func parse(line string) (root Root, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 || len(fields[0]) != 8 || !strings.HasPrefix(fields[2], "/") {
		return Root{}, fmt.Errorf("invalid line %q", line)
	}
	sum, err := strconv.ParseUint(fields[0], 16, 32)
	if err != nil {
		return Root{}, fmt.Errorf("invalid checksum %q", fields[0])
	}
	root.Sum = uint32(sum)
	if root.File, err = manifest.Unescape(fields[1]); err != nil {
		return Root{}, err
	}
	if target := fields[2][1:]; target != "" {
		root.Target, err = manifest.Unescape(target)
	}
	return root, err
}

// Verify compares the file below dir with its checksum.
func (r Root) Verify(dir string) error {
	path := dir + "/" + r.File
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := uint32(0)
	buffer := make([]byte, 256<<10)
	for {
		n, err := file.Read(buffer)
		sum = crc32.Update(sum, crc32.IEEETable, buffer[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if sum != r.Sum {
		return fmt.Errorf("%s is damaged: CRC-32 %08x instead of %08x", path, sum, r.Sum)
	}
	return nil
}
