package report

import (
	"fmt"
	"io"
)

// A document is a Reporter that says all when the run is over.
type document struct {
	w      io.Writer
	name   string
	encode func(Summary) ([]byte, error)
}

func (*document) Event(Event) error { return nil }

func (d *document) Close(s Summary) error {
	data, err := d.encode(s)
	if err != nil {
		return fmt.Errorf("encoding the %s report: %w", d.name, err)
	}
	if _, err := d.w.Write(data); err != nil {
		return fmt.Errorf("writing the %s report: %w", d.name, err)
	}
	return nil
}

// textDocument is a document of plain text. It is cleaned as a whole, so that it
// does not matter how its parts come together.
func textDocument(w io.Writer, name string, text func(Summary) string) Reporter {
	return &document{w, name, func(s Summary) ([]byte, error) { return []byte(Clean(text(s))), nil }}
}
