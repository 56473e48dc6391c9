package polarserver

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

const imagesPath = "streams/v1/images.json"

func (s *server) getIndex(w http.ResponseWriter, r *http.Request) error {
	sp, err := s.store.FindSpace(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	keys, err := s.store.FeedProducts(r.Context(), sp.Channel)
	if err != nil {
		return err
	}
	slices.Sort(keys)
	doc, err := newDocument(simplestreams.Index{
		Format: simplestreams.IndexFormat,
		Index: map[string]simplestreams.IndexEntry{"images": {
			DataType: simplestreams.Images, Format: "product:1.0", Path: imagesPath, Products: keys,
		}},
	})
	if err != nil {
		return err
	}
	doc.serve(w, r)
	return nil
}

func (s *server) getImages(w http.ResponseWriter, r *http.Request) error {
	sp, err := s.store.FindSpace(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	doc, err := s.images(r.Context(), sp)
	if err != nil {
		return err
	}
	doc.serve(w, r)
	return nil
}

// A feed is the document of a channel and a type, as it was last asked for. To
// make one takes far longer than to send it.
type feed struct {
	doc    atomic.Pointer[document]
	making chan struct{} // held by who makes the document
	reader *polarstore.FeedReader
}

// A feedKey is what a feed is for.
type feedKey struct{ channel, typ string }

func newFeeds(st *polarstore.Store) map[feedKey]*feed {
	all := map[feedKey]*feed{}
	for _, channel := range []string{"testing", "active"} {
		for _, typ := range []string{"lxd", "incus"} {
			all[feedKey{channel, typ}] = &feed{making: make(chan struct{}, 1), reader: st.FeedReader(channel, typ)}
		}
	}
	return all
}

// images returns the document of the space's feed as it is in the store now. Of
// those who find it changed, one makes the new one and the others wait for it.
func (s *server) images(ctx context.Context, sp polarstore.Space) (*document, error) {
	f := s.feeds[feedKey{sp.Channel, sp.Type}]
	if doc, err := s.current(ctx, f); doc != nil || err != nil {
		return doc, err
	}
	select {
	case f.making <- struct{}{}:
		defer func() { <-f.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if doc, err := s.current(ctx, f); doc != nil || err != nil {
		return doc, err
	}
	read, err := f.reader.Read(ctx)
	if err != nil {
		return nil, err
	}
	doc, err := newDocument(simplestreams.Products{
		ContentID: "images", DataType: simplestreams.Images, Format: simplestreams.ProductsFormat, Products: read.Products,
	})
	if err != nil {
		return nil, err
	}
	doc.generation = read.Generation
	f.doc.Store(doc)
	return doc, nil
}

// current returns the feed's document if nothing has changed since it was made.
func (s *server) current(ctx context.Context, f *feed) (*document, error) {
	doc := f.doc.Load()
	if doc == nil {
		return nil, nil
	}
	if now, err := s.store.FeedGeneration(ctx); err != nil || now != doc.generation {
		return nil, err
	}
	return doc, nil
}

// A document is JSON as it is sent.
type document struct {
	generation int64 // of the feed that it shows
	plain      []byte
	gzipped    func() []byte // made when first asked for
	etag       string        // without quotes
}

func newDocument(v any) (*document, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	return &document{
		plain:   plain,
		gzipped: sync.OnceValue(func() []byte { return compress(plain) }),
		etag:    hex.EncodeToString(sum[:16]),
	}, nil
}

func compress(data []byte) []byte {
	var buf bytes.Buffer
	// Neither the level nor the buffer gives an error.
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	_, _ = w.Write(data)
	_ = w.Close()
	return buf.Bytes()
}

// serve answers with the document, or says that the client has it already.
func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	body, etag := d.plain, `"`+d.etag+`"`
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", noCache)
	h.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = d.gzipped(), `"`+d.etag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip tells whether a client that sends this Accept-Encoding takes gzip.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !given || err == nil && weight > 0
	}
	return false
}
