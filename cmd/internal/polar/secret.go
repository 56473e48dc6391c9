package polar

import (
	"fmt"
	"io"
)

// A Secret is text that no output, log or error shows: it prints and encodes
// as ***. Converting it to a string gives the text.
type Secret string

const hidden = "***"

// Format writes *** whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String returns ***.
func (s Secret) String() string { return hidden }

// MarshalText returns ***, for JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
