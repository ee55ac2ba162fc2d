package luks

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrKey means that the key opens no keyslot.
var ErrKey = errors.New("wrong key")

// Unlock returns the volume key for a user's secret.
func (v Volume) Unlock(device io.ReaderAt, secret []byte) ([]byte, error) {
	for _, slot := range v.slots {
		key, err := slot.open(device, secret)
		if err != nil {
			return nil, err
		}
		sum, err := v.digest.compute(key)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(sum, v.digest.Digest) == 1 {
			return key, nil
		}
	}
	return nil, errors.Join(ErrKey, v.skipped)
}

func (k keyslot) open(device io.ReaderAt, secret []byte) ([]byte, error) {
	derived, err := k.KDF.derive(secret, k.Area.KeySize)
	if err != nil {
		return nil, err
	}
	area, err := newCipher(k.Area.Encryption, derived)
	if err != nil {
		return nil, err
	}
	data := make([]byte, areaSize(k.KeySize))
	if _, err := device.ReadAt(data, int64(k.Area.Offset)); err != nil {
		return nil, fmt.Errorf("read keyslot: %w", err)
	}
	for i := 0; i < len(data); i += sector {
		area.decrypt(data[i:i+sector], uint64(i/sector))
	}
	newHash, err := newHashFunc(k.Splitter.Hash)
	if err != nil {
		return nil, err
	}
	return merge(data[:k.KeySize*stripes], k.KeySize, newHash), nil
}

func (d digest) compute(key []byte) ([]byte, error) {
	newHash, err := newHashFunc(d.Hash)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(newHash, string(key), d.Salt, d.Iterations, len(d.Digest))
}

// Parameters of new volumes: the cipher and the layout that cryptsetup chooses, and a key
// derivation for secrets of random bytes.
const (
	newEncryption = xtsName
	newKeySize    = 64
	newHeader     = 16 << 10
	newOffset     = 16 << 20
	newSalt       = 32
	// OWASP's recommendation for HMAC-SHA512.
	newIterations = 210_000
)

// Create creates a volume with one keyslot. It writes the header last, because the header makes the
// volume valid.
func Create(device *os.File, size int64, secret []byte) (Opened, error) {
	if size < newOffset+(1<<20) {
		return Opened{}, fmt.Errorf("the device is too small: %d bytes, and LUKS2 needs %d for its header", size, newOffset)
	}
	random := make([]byte, 16+newKeySize+2*newSalt+64)
	if _, err := rand.Read(random); err != nil {
		return Opened{}, err
	}
	take := func(length int) []byte {
		part := random[:length:length]
		random = random[length:]
		return part
	}
	id, key := take(16), take(newKeySize)
	m, err := newMetadata(key, take(newSalt), take(newSalt))
	if err != nil {
		return Opened{}, err
	}
	if err := m.Keyslots["0"].close(device, secret, key); err != nil {
		return Opened{}, err
	}
	salt := [64]byte(take(64))
	for _, at := range []int64{newHeader, 0} {
		b, err := header(m, uuid(id), salt, newHeader, at)
		if err != nil {
			return Opened{}, err
		}
		if _, err := device.WriteAt(b, at); err != nil {
			return Opened{}, err
		}
		if err := device.Sync(); err != nil {
			return Opened{}, err
		}
	}
	v, err := Read(device)
	return v.opened(key), err
}

func newMetadata(key, slotSalt, digestSalt []byte) (metadata, error) {
	var slot keyslot
	slot.Type, slot.KeySize = "luks2", len(key)
	slot.Splitter.Type, slot.Splitter.Stripes, slot.Splitter.Hash = "luks1", stripes, "sha256"
	slot.Area.Type, slot.Area.Encryption, slot.Area.KeySize = "raw", newEncryption, newKeySize
	slot.Area.Offset = 2 * newHeader
	slot.Area.Size = number((areaSize(len(key)) + 4095) / 4096 * 4096)
	slot.KDF = kdf{Type: "pbkdf2", Salt: slotSalt, Hash: "sha512", Iterations: newIterations}
	d := digest{Type: "pbkdf2", Keyslots: []string{"0"}, Segments: []string{"0"}, Hash: "sha256", Iterations: 1000, Salt: digestSalt, Digest: make([]byte, 32)}
	var err error
	d.Digest, err = d.compute(key)
	return metadata{
		Keyslots: map[string]keyslot{"0": slot},
		Tokens:   map[string]json.RawMessage{},
		Segments: map[string]segment{"0": {Type: "crypt", Offset: newOffset, Size: "dynamic", Encryption: newEncryption, SectorSize: 512}},
		Digests:  map[string]digest{"0": d},
		Config:   config{JSONSize: newHeader - binarySize, KeyslotsSize: newOffset - 2*newHeader},
	}, err
}

// close writes the key to the keyslot's area.
func (k keyslot) close(device io.WriterAt, secret, key []byte) error {
	data := make([]byte, areaSize(k.KeySize))
	if _, err := rand.Read(data); err != nil {
		return err
	}
	newHash, err := newHashFunc(k.Splitter.Hash)
	if err != nil {
		return err
	}
	split(key, data[:k.KeySize*stripes], newHash)
	derived, err := k.KDF.derive(secret, k.Area.KeySize)
	if err != nil {
		return err
	}
	area, err := newCipher(k.Area.Encryption, derived)
	if err != nil {
		return err
	}
	for i := 0; i < len(data); i += sector {
		area.encrypt(data[i:i+sector], uint64(i/sector))
	}
	_, err = device.WriteAt(data, int64(k.Area.Offset))
	return err
}

func uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
