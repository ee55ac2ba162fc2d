package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"lkt/tpm/eventlog"
)

// tpm is a TPM 2.0. Its answers are those of the hardware, or of the host: they are bounded, but
// true only as far as these are trusted.
type tpm struct{ transport.TPM }

// digest is the value of a register in the bank of SHA-256, which all TPMs have.
type digest = [sha256.Size]byte

func selection(indices ...uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(indices...),
	}}}
}

// registers returns the values of registers, whose indices are ascending. An answer has eight at
// most.
func (t tpm) registers(indices []uint) ([]digest, error) {
	var values []digest
	for part := range slices.Chunk(indices, 8) {
		answer, err := tpm2.PCRRead{PCRSelectionIn: selection(part...)}.Execute(t)
		if err != nil {
			return nil, fmt.Errorf("read registers: %w", err)
		}
		if !isSelection(answer.PCRSelectionOut, part) || len(answer.PCRValues.Digests) != len(part) {
			return nil, errors.New("the TPM has no bank of SHA-256")
		}
		for _, value := range answer.PCRValues.Digests {
			if len(value.Buffer) != sha256.Size {
				return nil, fmt.Errorf("a register has %d bytes", len(value.Buffer))
			}
			values = append(values, digest(value.Buffer))
		}
	}
	return values, nil
}

func isSelection(s tpm2.TPMLPCRSelection, indices []uint) bool {
	return len(s.PCRSelections) == 1 && s.PCRSelections[0].Hash == tpm2.TPMAlgSHA256 &&
		bytes.Equal(s.PCRSelections[0].PCRSelect, tpm2.PCClientCompatible.PCRs(indices...))
}

// printRegisters prints a line for each register: its index and its value in hexadecimal.
func (t tpm) printRegisters(indices []uint, out io.Writer) error {
	values, err := t.registers(indices)
	if err != nil {
		return err
	}
	for i, value := range values {
		if _, err := fmt.Fprintf(out, "%d %x\n", indices[i], value); err != nil {
			return err
		}
	}
	return nil
}

// random returns random bytes of the TPM. An answer may have fewer than were requested.
func (t tpm) random(size int) ([]byte, error) {
	data := make([]byte, 0, size)
	for len(data) < size {
		answer, err := tpm2.GetRandom{BytesRequested: uint16(min(size-len(data), 32))}.Execute(t)
		if err != nil {
			return nil, fmt.Errorf("random numbers: %w", err)
		}
		part := answer.RandomBytes.Buffer
		if len(part) == 0 || len(part) > size-len(data) {
			return nil, fmt.Errorf("random numbers: the TPM returns %d bytes", len(part))
		}
		data = append(data, part...)
	}
	return data, nil
}

// printRandom prints random bytes in hexadecimal.
func (t tpm) printRandom(size int, out io.Writer) error {
	data, err := t.random(size)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, hex.EncodeToString(data))
	return err
}

// logPath is the log in which the firmware, the boot loader and the kernel's stub wrote what they
// measured.
const logPath = "/sys/kernel/security/tpm0/binary_bios_measurements"

// printLog prints the event log, and compares it with the registers.
func (t tpm) printLog(out io.Writer) error {
	file, err := os.Open(logPath)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the firmware left no event log\n  fix: boot by UEFI: %w", err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, eventlog.MaxSize+1))
	if err != nil {
		return err
	}
	return t.compareLog(data, out)
}

func (t tpm) compareLog(data []byte, out io.Writer) error {
	events, err := eventlog.Parse(data)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	for _, event := range events {
		if _, err := fmt.Fprintln(out, event); err != nil {
			return err
		}
	}
	replayed := eventlog.Replay(events)
	values, err := t.registers(eventlog.Registers)
	if err != nil {
		return err
	}
	var different []uint
	for i, index := range eventlog.Registers {
		expected := replayed[index]
		if values[i] != expected && (index != imageRegister || values[i] != extended(expected, releasedEvent)) {
			different = append(different, index)
		}
	}
	if len(different) > 0 {
		return fmt.Errorf("the log does not lead to the values of the registers %v", different)
	}
	_, err = fmt.Fprintf(out, "the log leads to the values of the registers %v\n", eventlog.Registers)
	return err
}

// extended returns the value of a register after an event.
func extended(value digest, event string) digest {
	measured := sha256.Sum256([]byte(event))
	return sha256.Sum256(append(value[:], measured[:]...))
}
