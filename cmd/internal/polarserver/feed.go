package polarserver

import (
	"maps"
	"net/http"
	"slices"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

const imagesPath = "streams/v1/images.json"

func (s *server) getIndex(w http.ResponseWriter, r *http.Request) error {
	products, err := s.feed(r)
	if err != nil {
		return err
	}
	keys := append([]string{}, slices.Sorted(maps.Keys(products))...)
	answer(w, http.StatusOK, simplestreams.Index{
		Format: simplestreams.IndexFormat,
		Index: map[string]simplestreams.IndexEntry{"images": {
			DataType: simplestreams.Images, Format: "product:1.0", Path: imagesPath, Products: keys,
		}},
	})
	return nil
}

func (s *server) getImages(w http.ResponseWriter, r *http.Request) error {
	products, err := s.feed(r)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, simplestreams.Products{
		ContentID: "images", DataType: simplestreams.Images, Format: simplestreams.ProductsFormat, Products: products,
	})
	return nil
}

func (s *server) feed(r *http.Request) (map[string]simplestreams.Product, error) {
	sp, err := s.store.FindSpace(r.Context(), r.PathValue("token"))
	if err != nil {
		return nil, err
	}
	return s.store.Feed(r.Context(), sp)
}
