package polarserver

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// Requests are small: a version's files do not come through the API.
const maxBody = 1 << 20

// Fields are the values of a request, and what is wrong with them.
type fields struct {
	values map[string]json.RawMessage
	wrong  polarstore.InvalidError
}

// readFields reads a request of the form {"name": {…}}. Fields in it that
// nobody asks for are ignored.
func readFields(w http.ResponseWriter, r *http.Request, name string) (*fields, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return nil, errBadRequest
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var top, values map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil || json.Unmarshal(top[name], &values) != nil || values == nil {
		return nil, errBadRequest
	}
	return &fields{values, polarstore.InvalidError{}}, nil
}

// missing tells whether there is no value, and notes it as wrong.
func (f *fields) missing(name string) bool {
	raw := bytes.TrimSpace(f.values[name])
	if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		return false
	}
	f.wrong[name] = polarstore.Blank
	return true
}

// text returns the value of a field that is a string.
func (f *fields) text(name string) (s string) {
	if !f.missing(name) && json.Unmarshal(f.values[name], &s) != nil {
		f.wrong[name] = polarstore.Invalid
	}
	return s
}

// number returns the value of a field that is a whole number, or one as text.
func (f *fields) number(name string) (n int64) {
	if f.missing(name) {
		return 0
	}
	raw := f.values[name]
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f.wrong[name] = polarstore.Invalid
	}
	return n
}

// decode decodes the value of a field into v.
func (f *fields) decode(name string, v any) {
	if !f.missing(name) && json.Unmarshal(f.values[name], v) != nil {
		f.wrong[name] = polarstore.Invalid
	}
}

// err returns what is wrong with the values that were asked for.
func (f *fields) err() error {
	if len(f.wrong) > 0 {
		return f.wrong
	}
	return nil
}
