package luks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Opened is a volume with its key, as the device mapper needs it.
type Opened struct {
	UUID           string
	Offset, Length uint64 // bytes
	Tweak          uint64
	Encryption     string
	SectorSize     uint64
	Key            []byte
}

// Open reads the header of a device and unlocks it.
func Open(device io.ReaderAt, secret []byte) (Opened, error) {
	v, err := Read(device)
	if err != nil {
		return Opened{}, err
	}
	key, err := v.Unlock(device, secret)
	if err != nil {
		return Opened{}, err
	}
	return v.opened(key), nil
}

func (v Volume) opened(key []byte) Opened {
	return Opened{v.UUID, v.Offset, v.Length, v.Tweak, v.Encryption, v.SectorSize, key}
}

// result is what one process tells another about a volume.
type result struct {
	NotLUKS, WrongKey bool
	Failure           string
	Opened            Opened
}

// EncodeResult returns the result of [Open] as a message.
func EncodeResult(o Opened, err error) ([]byte, error) {
	r := result{Opened: o, NotLUKS: errors.Is(err, ErrNotLUKS), WrongKey: errors.Is(err, ErrKey)}
	if err != nil {
		const most = 2000
		r.Failure = err.Error()
		r.Failure = r.Failure[:min(len(r.Failure), most)]
	}
	return json.Marshal(r)
}

// remoteError is an error of the other process.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// DecodeResult parses a message of [EncodeResult]. The process that sent it has parsed a foreign
// header, so that every value is validated again.
func DecodeResult(message []byte) (Opened, error) {
	var r result
	if err := json.Unmarshal(message, &r); err != nil {
		return Opened{}, errors.New("malformed result")
	}
	switch {
	case r.NotLUKS:
		return Opened{}, ErrNotLUKS
	case r.WrongKey:
		return Opened{}, &remoteError{printable(r.Failure), ErrKey}
	case r.Failure != "":
		return Opened{}, errors.New(printable(r.Failure))
	}
	o := r.Opened
	switch {
	case !isUUID(o.UUID), o.Encryption != xtsName && o.Encryption != cbcName,
		!slices.Contains([]uint64{512, 1024, 2048, 4096}, o.SectorSize), !slices.Contains([]int{16, 32, 64}, len(o.Key)),
		o.Offset == 0, o.Offset%o.SectorSize != 0, o.Length%o.SectorSize != 0:
		return Opened{}, fmt.Errorf("impossible volume %.80q", o.UUID)
	}
	return o, nil
}

func isUUID(text string) bool {
	return len(text) <= 40 && !strings.ContainsFunc(text, func(c rune) bool { return c != '-' && !strings.ContainsRune("0123456789abcdef", c) })
}

// printable returns text without control characters other than line ends.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}
