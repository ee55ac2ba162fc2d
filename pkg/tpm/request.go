package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Commands of the program.
const (
	readRegisters = "pcr"
	random        = "random"
	readLog       = "eventlog"
	seal          = "seal"
	unseal        = "unseal"
)

const usage = `tpm pcr [INDEX …]
       tpm random BYTES
       tpm eventlog
       tpm seal [-pcrs LIST] SECRET SEALED
       tpm unseal [-create BYTES [-pcrs LIST]] [-once] SEALED TARGET`

// request is a command with its arguments.
type request struct {
	Command string
	// Registers are the indices of platform configuration registers, ascending.
	Registers []uint
	// Size is the number of random bytes; of unseal 0 if the secret must exist.
	Size int
	// Once says that nothing can unseal the secret until the next boot.
	Once bool
	// Source is the file of the secret, Sealed that of the sealed one, and Target that of the
	// unsealed one.
	Source, Sealed, Target string
}

const (
	// registerCount is the number of registers of a PC.
	registerCount = 24
	// maxRandom is the maximum number of random bytes to print.
	maxRandom = 1 << 20
	// maxSecret is the maximum size of a secret in bytes (TPM 2.0 Part 2, MAX_SYM_DATA).
	maxSecret = 128
)

// imageRegister is the register in which systemd's EFI stub measures a unified kernel image.
const imageRegister = 11

// defaultRegisters are what decides which image runs: who signed it, its content, and what came
// from outside, such as a command line.
var defaultRegisters = []uint{7, imageRegister, 12, 13}

func parse(args []string) (request, error) {
	r, err := parseCommand(args)
	if err != nil {
		return r, fmt.Errorf("%w\n  fix: %s", err, usage)
	}
	return r, nil
}

func parseCommand(args []string) (r request, err error) {
	if len(args) == 0 {
		return r, errors.New("no command given")
	}
	r.Command, args = args[0], args[1:]
	switch r.Command {
	case readRegisters:
		if len(args) == 0 {
			for index := range uint(registerCount) {
				r.Registers = append(r.Registers, index)
			}
			return r, nil
		}
		r.Registers, err = registers(args)
		return r, err
	case random:
		if len(args) != 1 {
			return r, errors.New("random takes the number of bytes")
		}
		r.Size, err = number(args[0], maxRandom)
		return r, err
	case readLog:
		if len(args) > 0 {
			return r, errors.New("eventlog takes no argument")
		}
		return r, nil
	case seal, unseal:
		return r, r.parseFiles(args)
	}
	return r, fmt.Errorf("unknown command %q", r.Command)
}

func (r *request) parseFiles(args []string) (err error) {
	hasRegisters := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		if r.Command == unseal && option == "-once" {
			r.Once = true
			continue
		}
		if len(args) == 0 {
			return fmt.Errorf("%s needs a value", option)
		}
		value := args[0]
		args = args[1:]
		switch {
		case option == "-pcrs":
			hasRegisters = true
			r.Registers, err = registers(strings.Split(value, ","))
		case r.Command == unseal && option == "-create":
			r.Size, err = number(value, maxSecret)
		default:
			return fmt.Errorf("unknown option %q", option)
		}
		if err != nil {
			return err
		}
	}
	if len(args) != 2 || !filepath.IsAbs(args[0]) || !filepath.IsAbs(args[1]) {
		return fmt.Errorf("%s takes two absolute paths", r.Command)
	}
	if r.Command == unseal && r.Size == 0 && hasRegisters {
		return errors.New("-pcrs needs -create: a sealed secret names its registers")
	}
	if !hasRegisters {
		r.Registers = defaultRegisters
	}
	if r.Command == seal {
		r.Source, r.Sealed = args[0], args[1]
	} else {
		r.Sealed, r.Target = args[0], args[1]
	}
	return nil
}

// registers parses indices.
func registers(words []string) ([]uint, error) {
	var indices []uint
	for _, word := range words {
		index, err := strconv.ParseUint(word, 10, 32)
		if err != nil || index >= registerCount {
			return nil, fmt.Errorf("register %.20q is not a number from 0 to %d", word, registerCount-1)
		}
		if slices.Contains(indices, uint(index)) {
			return nil, fmt.Errorf("register %d is given twice", index)
		}
		indices = append(indices, uint(index))
	}
	slices.Sort(indices)
	return indices, nil
}

func number(word string, limit int) (int, error) {
	value, err := strconv.Atoi(word)
	if err != nil || value < 1 || value > limit {
		return 0, fmt.Errorf("%.20q is not a number from 1 to %d", word, limit)
	}
	return value, nil
}

func (r request) execute(t tpm, out io.Writer) error {
	switch r.Command {
	case readRegisters:
		return t.printRegisters(r.Registers, out)
	case random:
		return t.printRandom(r.Size, out)
	case readLog:
		return t.printLog(out)
	case seal:
		return t.sealFile(r)
	}
	return t.unsealFile(r, out)
}
