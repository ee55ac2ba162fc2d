package modules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// fileHeader is Elf64_Ehdr of elf(5). Package debug/elf would link what decompresses sections and
// reads debug information into PID 1.
type fileHeader struct {
	Ident                                                [16]byte
	Type, Machine                                        uint16
	Version                                              uint32
	Entry, Phoff, Shoff                                  uint64
	Flags                                                uint32
	Ehsize, Phentsize, Phnum, Shentsize, Shnum, Shstrndx uint16
}

// sectionHeader is Elf64_Shdr.
type sectionHeader struct {
	Name, Type             uint32
	Flags, Addr, Off, Size uint64
	Link, Info             uint32
	Addralign, Entsize     uint64
}

// modinfo returns the section .modinfo of a module for a 64-bit little-endian kernel.
func modinfo(file io.ReaderAt) ([]byte, error) {
	const ident = "\x7fELF\x02\x01" // ELFCLASS64, ELFDATA2LSB
	var header fileHeader
	if err := readAt(file, 0, &header); err != nil || string(header.Ident[:len(ident)]) != ident {
		return nil, errNoModule
	}
	section := func(index uint16) (s sectionHeader, err error) {
		return s, readAt(file, header.Shoff+uint64(index)*uint64(header.Shentsize), &s)
	}
	names, err := section(header.Shstrndx)
	if err != nil {
		return nil, errNoModule
	}
	for index := range header.Shnum {
		s, err := section(index)
		if err != nil {
			return nil, errNoModule
		}
		var name [len(".modinfo\x00")]byte
		if err := readAt(file, names.Off+uint64(s.Name), &name); err != nil || string(name[:]) != ".modinfo\x00" {
			continue
		}
		if s.Size > maxModinfo {
			return nil, fmt.Errorf(".modinfo of %d bytes", s.Size)
		}
		info := make([]byte, s.Size)
		return info, readAt(file, s.Off, info)
	}
	return nil, errNoModule
}

var errNoModule = errors.New("not a module")

// maxModinfo is the size of a section .modinfo with many parameters and aliases.
const maxModinfo = 1 << 20

func readAt(file io.ReaderAt, offset uint64, data any) error {
	return binary.Read(io.NewSectionReader(file, int64(offset), int64(binary.Size(data))), binary.LittleEndian, data)
}
