package luks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const secret = "abcdefghijklmnopqrstuvwxyz123456"

// device returns a file of 20 MiB, and the path of a file with the secret.
func device(t *testing.T) (*os.File, string) {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "device"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(20 << 20); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, key
}

func cryptsetup(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("cryptsetup", append([]string{"--batch-mode", "--disable-locks"}, arguments...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("cryptsetup %v: %v: %s", arguments, err, output)
	}
	return string(output)
}

func TestCryptsetupOpensCreatedVolume(t *testing.T) {
	file, key := device(t)
	made, err := Create(file, 20<<20, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	master := file.Name() + ".master"
	cryptsetup(t, "luksDump", "--dump-volume-key", "--volume-key-file", master, "--key-file", key, file.Name())
	if got, err := os.ReadFile(master); err != nil || !bytes.Equal(got, made.Key) {
		t.Errorf("wrong volume key: %v", err)
	}
	if dump := cryptsetup(t, "luksDump", file.Name()); !strings.Contains(dump, made.UUID) || !strings.Contains(dump, "cipher: aes-xts-plain64") {
		t.Error(dump)
	}
	if got, err := Open(file, []byte(secret)); err != nil || !bytes.Equal(got.Key, made.Key) {
		t.Error(err)
	}
	if _, err := Open(file, []byte(secret+"x")); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

func TestUnlocksCryptsetupVolumes(t *testing.T) {
	for name, arguments := range map[string][]string{
		"xts":                             {"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"},
		"LinuxKit's":                      {"--cipher", "aes-cbc-essiv:sha256", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"},
		"argon2id, as cryptsetup chooses": {"--pbkdf-memory", "2000", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2"},
		"argon2id, one lane":              {"--pbkdf", "argon2id", "--pbkdf-memory", "32", "--pbkdf-force-iterations", "5", "--pbkdf-parallel", "1"},
		"argon2i":                         {"--pbkdf", "argon2i", "--pbkdf-memory", "1111", "--pbkdf-force-iterations", "6", "--pbkdf-parallel", "3"},
		"sha512, sectors":                 {"--hash", "sha512", "--sector-size", "4096", "--key-size", "256", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			file, key := device(t)
			cryptsetup(t, append(append([]string{"luksFormat", "--type", "luks2", "--key-file", key}, arguments...), file.Name())...)
			master := file.Name() + ".master"
			cryptsetup(t, "luksDump", "--dump-volume-key", "--volume-key-file", master, "--key-file", key, file.Name())
			want, err := os.ReadFile(master)
			if err != nil {
				t.Fatal(err)
			}
			for _, damaged := range []bool{false, true} {
				if damaged {
					if _, err := file.WriteAt([]byte("x"), 5000); err != nil {
						t.Fatal(err)
					}
				}
				v, err := Read(file)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := v.Unlock(file, []byte(secret)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%x, not %x: %v", got, want, err)
				}
				if _, err := v.Unlock(file, []byte("another")); !errors.Is(err, ErrKey) {
					t.Error(err)
				}
				if v.Offset != 16<<20 || v.Length != 0 {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

func TestReadWithoutVolume(t *testing.T) {
	file, key := device(t)
	if _, err := Read(file); !errors.Is(err, ErrNotLUKS) {
		t.Error(err)
	}
	if _, err := Read(bytes.NewReader([]byte(magic))); !errors.Is(err, ErrNotLUKS) {
		t.Error(err)
	}
	if _, err := Create(file, 16<<20, []byte(secret)); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Error(err)
	}
	cryptsetup(t, "luksFormat", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", key, file.Name())
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "LUKS1 is not supported") {
		t.Error(err)
	}
}

// example returns the header of a volume with a correct checksum.
func example(t testing.TB) []byte {
	t.Helper()
	m, err := newMetadata(make([]byte, 64), make([]byte, newSalt), make([]byte, newSalt))
	if err != nil {
		t.Fatal(err)
	}
	b, err := header(m, "01234567-89ab-cdef-0123-456789abcdef", [64]byte{}, newHeader, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sign(b []byte) {
	clear(b[atSum : atSum+64])
	sum := sha256.Sum256(b)
	copy(b[atSum:], sum[:])
}

func TestReadRejectsInvalidHeaders(t *testing.T) {
	for want, change := range map[string]func([]byte) []byte{
		"invalid size or offset":      func(b []byte) []byte { binary.BigEndian.PutUint64(b[atSize:], 1<<63); return b },
		"unknown LUKS version 3":      func(b []byte) []byte { b[atVersion+1] = 3; return b },
		"algorithm \"md5\"":           func(b []byte) []byte { copy(b[atAlgorithm:], "md5\x00"); return b },
		"no valid UUID":               func(b []byte) []byte { copy(b[atUUID:], "../../"); return b },
		"unexpected end":              func(b []byte) []byte { b[binarySize+20] = 0; return b },
		"EOF":                         func(b []byte) []byte { binary.BigEndian.PutUint64(b[atSize:], 4<<20); return b },
		"invalid segment: offset 1":   replace(`"offset":"16777216"`, `"offset":"1"`),
		"value out of range":          replace(`"offset":"16777216"`, `"offset":"99999999999999999999"`),
		"unsupported sector size: 7":  replace(`"sector_size":512`, `"sector_size":7`),
		"unsupported cipher \"null\"": replace(`"encryption":"aes-xts-plain64","sector`, `"encryption":"null","sector`),
		"invalid segment size \"0\"":  replace(`"dynamic"`, `"0"`),
		"missing keyslot \"0\"":       replace(`"keyslots":{"0"`, `"keyslots":{"1"`),
		"invalid key digest":          replace(`"iterations":1000`, `"iterations":9999999999`),
		"requirements [\"future\"]":   replace(`"keyslots_size":"16744448"`, `"requirements":{"mandatory":["future"]}`),
		"0 segments":                  replace(`"segments":{`, `"other":{`),
	} {
		b := change(example(t))
		sign(b)
		if v, err := Read(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, v, err)
		}
	}
	b := example(t)
	b[atSum]++
	if _, err := Read(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}

// replace replaces text in the JSON of a header.
func replace(from, to string) func([]byte) []byte {
	return func(b []byte) []byte {
		end := bytes.IndexByte(b[binarySize:], 0)
		text := strings.Replace(string(b[binarySize:binarySize+end]), from, to, 1)
		clear(b[binarySize:])
		copy(b[binarySize:], text)
		return b
	}
}

// Other keyslots are used in place of an unsupported one. Without others, the error names it.
func TestUnlockReportsUnsupportedKeyslots(t *testing.T) {
	for want, change := range map[string]func([]byte) []byte{
		"key sizes of 65 and 64 bytes":          replace(`"key_size":64`, `"key_size":65`),
		"splitter \"luks9\"":                    replace(`"luks1"`, `"luks9"`),
		"invalid offset or size":                replace(`"offset":"32768"`, `"offset":"9223372036854775808"`),
		"iterations: -1":                        replace(`"iterations":210000`, `"iterations":-1`),
		"hash \"md5\"":                          replace(`"hash":"sha512"`, `"hash":"md5"`),
		"0 KiB, 0 passes":                       replace(`"type":"pbkdf2"`, `"type":"argon2id"`),
		"2097152 KiB":                           replace(`"type":"pbkdf2"`, `"memory":2097152,"time":1,"cpus":1,"type":"argon2id"`),
		"passes, 1 lanes":                       replace(`"type":"pbkdf2"`, `"memory":1048576,"time":65,"cpus":1,"type":"argon2i"`),
		", 17 lanes":                            replace(`"type":"pbkdf2"`, `"memory":1048576,"time":1,"cpus":17,"type":"argon2i"`),
		"unsupported key derivation \"scrypt\"": replace(`"type":"pbkdf2"`, `"type":"scrypt"`),
	} {
		b := change(example(t))
		sign(b)
		v, err := Read(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if _, err := v.Unlock(bytes.NewReader(b), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	b := replace(`"offset":"32768"`, `"offset":"9223372036854775000"`)(example(t))
	sign(b)
	v, err := Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unlock(bytes.NewReader(b), nil); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Each keyslot is within its limits, but all together would take a year.
func TestReadBoundsTheWorkOfAllKeyslots(t *testing.T) {
	const size = 512 << 10
	for name, test := range map[string]struct {
		want   string
		change func(*metadata, *digest)
	}{
		"one keyslot many times": {"lists keyslot", func(_ *metadata, d *digest) { d.Keyslots = slices.Repeat([]string{"0"}, 30_000) }},
		"many keyslots":          {"33 keyslots", func(m *metadata, d *digest) { addSlots(m, d, 32) }},
		"PBKDF2": {"too much work", func(m *metadata, d *digest) {
			slot := m.Keyslots["0"]
			slot.KDF.Iterations = maxIterations
			slot.KDF.Memory, slot.KDF.Time = 1<<31, -1<<31
			m.Keyslots["0"] = slot
			addSlots(m, d, 1)
		}},
		"Argon2": {"too much work", func(m *metadata, d *digest) {
			slot := m.Keyslots["0"]
			slot.KDF = kdf{Type: "argon2id", Iterations: -maxIterations, Time: 64, Memory: maxMemory, CPUs: 1}
			m.Keyslots["0"] = slot
			addSlots(m, d, 1)
		}},
		"digest": {"too much work", func(m *metadata, d *digest) {
			d.Iterations = maxIterations
			addSlots(m, d, 1)
		}},
	} {
		m, err := newMetadata(make([]byte, 64), make([]byte, newSalt), make([]byte, newSalt))
		if err != nil {
			t.Fatal(err)
		}
		slot, segment, d := m.Keyslots["0"], m.Segments["0"], m.Digests["0"]
		slot.Area.Offset, segment.Offset = 2*size, 16<<20
		m.Keyslots["0"], m.Segments["0"] = slot, segment
		test.change(&m, &d)
		m.Digests["0"] = d
		b, err := header(m, "01234567-89ab-cdef-0123-456789abcdef", [64]byte{}, size, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// addSlots adds copies of the first keyslot.
func addSlots(m *metadata, d *digest, count int) {
	for i := range count {
		name := strconv.Itoa(i + 1)
		m.Keyslots[name] = m.Keyslots["0"]
		d.Keyslots = append(d.Keyslots, name)
	}
}

func FuzzParse(f *testing.F) {
	b := example(f)
	f.Add([]byte(text(b[binarySize:])))
	f.Add([]byte(`{"segments":{"":{}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parse(text, newHeader)
		if err != nil {
			return
		}
		if v.Offset < 2*newHeader || v.SectorSize < 512 {
			t.Fatalf("%+v", v)
		}
		for _, slot := range v.slots {
			if slot.KDF.Iterations > 1000 || slot.KDF.Memory > 64 || slot.KDF.Time > 64 {
				return
			}
			if _, err := slot.open(bytes.NewReader(make([]byte, 1<<20)), nil); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzRead changes a whole header, and then corrects its checksum: without that, only the check of
// the checksum would be tested.
func FuzzRead(f *testing.F) {
	f.Add(example(f))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= binarySize {
			data = bytes.Clone(data)
			sign(data)
		}
		v, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if v.Offset < 2*newHeader || v.SectorSize < 512 || strings.ContainsAny(v.UUID, "/ \x00\n") {
			t.Fatalf("%+v", v)
		}
	})
}
