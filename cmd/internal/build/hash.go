package build

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// A File is a file of a build that was read. Hashes are hexadecimal SHA-256;
// Combined is that of the metadata followed by the file, of the metadata itself
// it is empty.
type File struct {
	Name     string
	Size     int64
	Hash     string
	Combined string
}

// A Hasher hashes a build's files while they are read, each of them once. Its
// zero value is ready for the metadata, which comes first.
type Hasher struct {
	meta hash.Cloner // what the metadata has hashed to
}

// Begin returns sums for a file of that name, which is then to be written to them.
func (h *Hasher) Begin(name string) *Sums {
	s := &Sums{name: name, plain: sha256.New()}
	if name == simplestreams.IncusMetadata {
		h.meta = s.plain.(hash.Cloner)
		return s
	}
	// A hash of the standard library has no error.
	clone, _ := h.meta.Clone()
	s.combined = clone
	return s
}

// Sums are what a file hashes to as far as it was written to them.
type Sums struct {
	name     string
	plain    hash.Hash
	combined hash.Hash // nil for metadata
	size     int64
}

// worthwhile is how many bytes make it worth to hash them twice at once.
const worthwhile = 64 << 10

// Write adds to the sums. It never fails.
func (s *Sums) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	var both sync.WaitGroup
	switch {
	case s.combined == nil:
	case len(p) < worthwhile:
		s.combined.Write(p)
	default:
		both.Go(func() { s.combined.Write(p) })
	}
	s.plain.Write(p)
	both.Wait()
	return len(p), nil
}

// File returns what was written.
func (s *Sums) File() File {
	f := File{Name: s.name, Size: s.size, Hash: hex.EncodeToString(s.plain.Sum(nil))}
	if s.combined != nil {
		f.Combined = hex.EncodeToString(s.combined.Sum(nil))
	}
	return f
}
