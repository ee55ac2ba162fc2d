package luks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// metadata is the part of the header's JSON that is used here.
type metadata struct {
	Keyslots map[string]keyslot         `json:"keyslots"`
	Tokens   map[string]json.RawMessage `json:"tokens"`
	Segments map[string]segment         `json:"segments"`
	Digests  map[string]digest          `json:"digests"`
	Config   config                     `json:"config"`
}

type keyslot struct {
	Type     string `json:"type"`
	KeySize  int    `json:"key_size"`
	Splitter struct {
		Type    string `json:"type"`
		Stripes int    `json:"stripes"`
		Hash    string `json:"hash"`
	} `json:"af"`
	Area struct {
		Type       string `json:"type"`
		Offset     number `json:"offset"`
		Size       number `json:"size"`
		Encryption string `json:"encryption"`
		KeySize    int    `json:"key_size"`
	} `json:"area"`
	KDF kdf `json:"kdf"`
}

type kdf struct {
	Type       string `json:"type"`
	Salt       []byte `json:"salt"`
	Hash       string `json:"hash,omitempty"`
	Iterations int    `json:"iterations,omitempty"`
	Time       int    `json:"time,omitempty"`
	Memory     int    `json:"memory,omitempty"`
	CPUs       int    `json:"cpus,omitempty"`
}

type segment struct {
	Type       string          `json:"type"`
	Offset     number          `json:"offset"`
	Size       string          `json:"size"`
	Tweak      number          `json:"iv_tweak"`
	Encryption string          `json:"encryption"`
	SectorSize uint64          `json:"sector_size"`
	Integrity  json.RawMessage `json:"integrity,omitempty"`
}

type digest struct {
	Type       string   `json:"type"`
	Keyslots   []string `json:"keyslots"`
	Segments   []string `json:"segments"`
	Hash       string   `json:"hash"`
	Iterations int      `json:"iterations"`
	Salt       []byte   `json:"salt"`
	Digest     []byte   `json:"digest"`
}

type config struct {
	JSONSize     number `json:"json_size"`
	KeyslotsSize number `json:"keyslots_size"`
	Requirements struct {
		Mandatory []string `json:"mandatory,omitempty"`
	} `json:"requirements,omitzero"`
}

// number is a 64-bit number, which the format encodes as a string.
type number uint64

func (n *number) UnmarshalText(text []byte) error {
	value, err := strconv.ParseUint(string(text), 10, 64)
	*n = number(value)
	return err
}

func (n number) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(n), 10), nil
}

// Volume is a validated header, without the unsupported keyslots.
type Volume struct {
	UUID string
	// The encrypted area, in bytes. Length 0 means up to the end of the device.
	Offset, Length uint64
	Tweak          uint64
	Encryption     string // the name for dm-crypt
	SectorSize     uint64
	slots          []keyslot
	digest         digest
	// skipped is the reason why a keyslot is unsupported.
	skipped error
}

const (
	stripes = 4000
	// maxIterations limits those of all keyslots and digests together: some minutes.
	maxIterations = 1 << 27
	// maxKeyslots is cryptsetup's limit.
	maxKeyslots = 32
)

func parse(text []byte, headerSize int64) (Volume, error) {
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return Volume{}, err
	}
	if len(m.Config.Requirements.Mandatory) > 0 {
		return Volume{}, fmt.Errorf("unsupported requirements %q", m.Config.Requirements.Mandatory)
	}
	if len(m.Segments) != 1 {
		return Volume{}, fmt.Errorf("%d segments, expected one", len(m.Segments))
	}
	var v Volume
	for name, s := range m.Segments {
		if err := v.setSegment(s, headerSize); err != nil {
			return Volume{}, err
		}
		if err := v.setDigest(m.Digests, name); err != nil {
			return Volume{}, err
		}
	}
	if err := v.setSlots(m.Keyslots, headerSize); err != nil {
		return Volume{}, err
	}
	return v, v.checkWork()
}

func (v *Volume) setSlots(slots map[string]keyslot, headerSize int64) error {
	seen := map[string]bool{}
	for _, name := range v.digest.Keyslots {
		slot, found := slots[name]
		switch {
		case !found:
			return fmt.Errorf("missing keyslot %q", name)
		case seen[name]:
			return fmt.Errorf("the digest lists keyslot %q twice", name)
		}
		seen[name] = true
		if err := slot.check(headerSize); err != nil {
			v.skipped = fmt.Errorf("keyslot %s: %w", name, err)
			continue
		}
		v.slots = append(v.slots, slot)
	}
	if len(v.slots) == 0 && v.skipped == nil {
		v.skipped = errors.New("no keyslot")
	}
	if len(v.slots) > maxKeyslots {
		return fmt.Errorf("%d keyslots exceed the limit of %d", len(v.slots), maxKeyslots)
	}
	return nil
}

// checkWork rejects a header whose keyslots together would keep a machine from booting: a wrong key
// is tried in each of them.
func (v *Volume) checkWork() error {
	iterations, memory := 0, 0
	for _, slot := range v.slots {
		iterations += v.digest.Iterations
		// The other parameters of each type are unused, and unchecked.
		if slot.KDF.Type == "pbkdf2" {
			iterations += slot.KDF.Iterations
		} else {
			memory += slot.KDF.Memory * slot.KDF.Time
		}
	}
	if iterations > maxIterations || memory > maxWork {
		return fmt.Errorf("the keyslots ask for too much work: %d iterations, %d KiB", iterations, memory)
	}
	return nil
}

func (v *Volume) setSegment(s segment, headerSize int64) error {
	length := uint64(0)
	if s.Size != "dynamic" {
		var err error
		if length, err = strconv.ParseUint(s.Size, 10, 64); err != nil || length == 0 {
			return fmt.Errorf("invalid segment size %q", s.Size)
		}
	}
	switch {
	case s.Type != "crypt" || s.Integrity != nil:
		return fmt.Errorf("unsupported segment of type %q, or with integrity", s.Type)
	case s.Encryption != xtsName && s.Encryption != cbcName:
		return fmt.Errorf("unsupported cipher %q", s.Encryption)
	case !slices.Contains([]uint64{512, 1024, 2048, 4096}, s.SectorSize):
		return fmt.Errorf("unsupported sector size: %d bytes", s.SectorSize)
	case uint64(s.Offset) < 2*uint64(headerSize) || uint64(s.Offset)%s.SectorSize != 0 || s.Offset > math.MaxInt64 || length%s.SectorSize != 0:
		return fmt.Errorf("invalid segment: offset %d, size %s", s.Offset, s.Size)
	}
	v.Offset, v.Length, v.Tweak = uint64(s.Offset), length, uint64(s.Tweak)
	v.Encryption, v.SectorSize = s.Encryption, s.SectorSize
	return nil
}

func (v *Volume) setDigest(digests map[string]digest, segment string) error {
	for _, d := range digests {
		if slices.Contains(d.Segments, segment) {
			v.digest = d
			break
		}
	}
	_, err := newHashFunc(v.digest.Hash)
	switch {
	case v.digest.Type != "pbkdf2":
		return fmt.Errorf("unsupported digest type %q", v.digest.Type)
	case err != nil:
		return err
	case v.digest.Iterations < 1 || v.digest.Iterations > maxIterations || len(v.digest.Digest) < 16 || len(v.digest.Digest) > 64:
		return errors.New("invalid key digest")
	}
	return nil
}

func (k keyslot) check(headerSize int64) error {
	if _, err := newHashFunc(k.Splitter.Hash); err != nil {
		return err
	}
	if !slices.Contains([]int{16, 32, 64}, k.KeySize) || !slices.Contains([]int{16, 32, 64}, k.Area.KeySize) {
		return fmt.Errorf("unsupported key sizes of %d and %d bytes", k.KeySize, k.Area.KeySize)
	}
	if _, err := newCipher(k.Area.Encryption, make([]byte, k.Area.KeySize)); err != nil {
		return err
	}
	switch {
	case k.Type != "luks2" || k.Area.Type != "raw" || k.Splitter.Type != "luks1" || k.Splitter.Stripes != stripes:
		return fmt.Errorf("unsupported keyslot of type %q, splitter %q, area %q", k.Type, k.Splitter.Type, k.Area.Type)
	case uint64(k.Area.Offset) < 2*uint64(headerSize) || k.Area.Offset > math.MaxInt64 || uint64(k.Area.Size) < uint64(areaSize(k.KeySize)):
		return errors.New("invalid offset or size of the key area")
	}
	return k.KDF.check()
}

// areaSize returns the size of a split key in whole sectors.
func areaSize(keySize int) int {
	return (keySize*stripes + sector - 1) / sector * sector
}
