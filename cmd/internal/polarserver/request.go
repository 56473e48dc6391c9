package polarserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// Requests are small: a version's files do not come through the API.
const maxBody = 1 << 20

// Fields are the values of a request, and what is wrong with them.
type fields struct {
	values map[string]json.RawMessage
	wrong  polarstore.InvalidError
}

// readFields reads a request of the form {"name": {…}}, or a form's name[field]=…
// Fields in it that nobody asks for are ignored.
func readFields(w http.ResponseWriter, r *http.Request, name string) (*fields, error) {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, errBadRequest
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var values map[string]json.RawMessage
	switch mt {
	case "application/json":
		var top map[string]json.RawMessage
		if json.Unmarshal(body, &top) == nil {
			_ = json.Unmarshal(top[name], &values) // what is no object leaves none
		}
	case "application/x-www-form-urlencoded":
		values = formValues(string(body), name)
	}
	if values == nil {
		return nil, errBadRequest
	}
	return &fields{values, polarstore.InvalidError{}}, nil
}

// formValues returns the values of a form's fields name[field] as JSON has them,
// nil where there are none.
func formValues(body, name string) map[string]json.RawMessage {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil
	}
	var values map[string]json.RawMessage
	for key := range form {
		field, ok := strings.CutPrefix(key, name+"[")
		if field, closed := strings.CutSuffix(field, "]"); ok && closed {
			text, _ := json.Marshal(form.Get(key)) // a string always is JSON
			if values == nil {
				values = map[string]json.RawMessage{}
			}
			values[field] = text
		}
	}
	return values
}

// readJSON reads a request that says to be JSON, of at most limit bytes.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return nil, errBadRequest
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
}

// has tells whether there is a value.
func (f *fields) has(name string) bool {
	raw := bytes.TrimSpace(f.values[name])
	return len(raw) > 0 && !bytes.Equal(raw, []byte("null"))
}

// missing tells whether there is no value, and notes it as wrong.
func (f *fields) missing(name string) bool {
	if f.has(name) {
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

// textOr returns the value of a field that is a string, or other where it is
// missing or empty.
func (f *fields) textOr(name, other string) string {
	if !f.has(name) {
		return other
	}
	return cmp.Or(f.text(name), other)
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
