package polarstore

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What hashing a password costs. A hash tells its own cost, so these may change.
const (
	argonTime   = 2         // passes
	argonMemory = 19 * 1024 // KiB
	argonKey    = 32        // bytes
)

// hashPassword returns what is kept of a password: a salted Argon2id hash.
func hashPassword(password string) string {
	salt := make([]byte, 16)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, 1, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonMemory, argonTime,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// isPassword tells whether the hash is that of the password. The empty hash, of
// a password that was never set, is that of none.
func isPassword(hash, password string) bool {
	part := strings.Split(hash, "$")
	if len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false
	}
	var memory, passes uint32
	if n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=1", &memory, &passes); err != nil || n != 2 || passes == 0 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(part[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(part[5])
	if err != nil || len(want) != argonKey {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, 1, argonKey)
	return subtle.ConstantTimeCompare(got, want) == 1
}
