package polarstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/build"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// FeedGeneration returns a number that is another one after each change of what
// feeds show. To ask for it costs far less than to read a feed.
func (s *Store) FeedGeneration(ctx context.Context) (int64, error) {
	n, err := feedGeneration(ctx, s.read)
	if err != nil {
		return 0, fmt.Errorf("read feed's generation: %w", err)
	}
	return n, nil
}

func feedGeneration(ctx context.Context, q querier) (n int64, err error) {
	return n, q.QueryRowContext(ctx, "SELECT generation FROM feed").Scan(&n)
}

const selectFeedProducts = `SELECT p.key FROM products p
	WHERE EXISTS (SELECT 1 FROM versions v WHERE v.state = ? AND v.product_id = p.id)`

// FeedProducts returns the keys of the products that have a version in the
// channel's state.
func (s *Store) FeedProducts(ctx context.Context, channel string) ([]string, error) {
	scan := func(scan func(...any) error) (key string, err error) { return key, scan(&key) }
	keys, err := list(ctx, s.read, scan, selectFeedProducts, channel)
	if err != nil {
		return nil, fmt.Errorf("read feed's products: %w", err)
	}
	return keys, nil
}

// A FeedReader reads what spaces of a channel and a type show: versions in the
// channel's state, with the metadata item for the type and without the others. A
// version's items never change, so it reads those of each version once. It is for
// one reader at a time.
type FeedReader struct {
	store        *Store
	channel, typ string
	versions     map[int64]simplestreams.Version // by id, as of the last Read
}

// FeedReader returns a reader of the feed of the channel and the type.
func (s *Store) FeedReader(channel, typ string) *FeedReader {
	return &FeedReader{store: s, channel: channel, typ: typ}
}

// A Feed is what a FeedReader reads.
type Feed struct {
	Generation int64
	Products   map[string]simplestreams.Product
}

// Read reads the feed as it is now.
func (r *FeedReader) Read(ctx context.Context) (Feed, error) {
	f, err := r.read(ctx)
	if err != nil {
		return Feed{}, fmt.Errorf("read feed: %w", err)
	}
	return f, nil
}

func (r *FeedReader) read(ctx context.Context) (f Feed, err error) {
	tx, err := r.store.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // all of one moment
	if err != nil {
		return f, err
	}
	defer tx.Rollback()
	if f.Generation, err = feedGeneration(ctx, tx); err != nil {
		return f, err
	}
	listed, err := feedVersions(ctx, tx, r.channel)
	if err != nil {
		return f, err
	}
	shown := map[int64]simplestreams.Version{}
	var unknown []int64
	for _, v := range listed {
		known, ok := r.versions[v.id]
		if !ok {
			known = simplestreams.Version{Items: map[string]simplestreams.Item{}}
			unknown = append(unknown, v.id)
		}
		shown[v.id] = known
	}
	if err := readFeedItems(ctx, tx, r.typ, unknown, shown); err != nil {
		return f, err
	}
	f.Products = map[string]simplestreams.Product{}
	for _, v := range listed {
		if len(shown[v.id].Items) == 0 {
			continue
		}
		p, ok := f.Products[v.key]
		if !ok {
			if p, err = feedProduct(v.key, v.requirements); err != nil {
				return f, fmt.Errorf("product %s: %w", v.key, err)
			}
			f.Products[v.key] = p
		}
		p.Versions[v.serial] = shown[v.id]
	}
	r.versions = shown
	return f, nil
}

// A feedVersion is a version that is in a feed.
type feedVersion struct {
	id                        int64
	key, requirements, serial string
}

const selectFeedVersions = `SELECT v.id, p.key, p.requirements, v.serial
	FROM versions v JOIN products p ON p.id = v.product_id WHERE v.state = ?`

func feedVersions(ctx context.Context, q querier, channel string) ([]feedVersion, error) {
	scan := func(scan func(...any) error) (v feedVersion, err error) {
		return v, scan(&v.id, &v.key, &v.requirements, &v.serial)
	}
	return list(ctx, q, scan, selectFeedVersions, channel)
}

const selectFeedItems = `SELECT version_id, id, name, file_type, hash, size, combined FROM items
	WHERE version_id IN (SELECT value FROM json_each(?)) AND (is_metadata = 0 OR name = ?)`

// readFeedItems reads the items of the versions of these ids into those.
func readFeedItems(ctx context.Context, q querier, typ string, ids []int64, into map[int64]simplestreams.Version) error {
	list, err := json.Marshal(append([]int64{}, ids...))
	if err != nil {
		return err
	}
	rows, err := q.QueryContext(ctx, selectFeedItems, string(list), typ+".tar.xz")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		var it Item
		var combined sql.RawBytes // of tens of thousands of rows at times, most of them empty
		if err := rows.Scan(&version, &it.ID, &it.Name, &it.FileType, &it.Hash, &it.Size, &combined); err != nil {
			return err
		}
		if string(combined) != "{}" {
			if err := json.Unmarshal(combined, &it.Combined); err != nil {
				return fmt.Errorf("item %d: %w", it.ID, err)
			}
		}
		into[version].Items[it.Name] = feedItem(it)
	}
	return rows.Err()
}

func feedProduct(key, requirements string) (simplestreams.Product, error) {
	part := strings.Split(key, ":")
	os, release, arch, variant := part[0], part[1], part[2], part[3]
	p := simplestreams.Product{
		Aliases: os + "/" + release + "," + os + "/" + release + "/" + variant,
		Arch:    arch,
		OS:      strings.ToUpper(os[:1]) + strings.ToLower(os[1:]),
		Release: release, ReleaseTitle: release,
		Variant:  variant,
		Versions: map[string]simplestreams.Version{},
	}
	return p, json.Unmarshal([]byte(requirements), &p.Requirements)
}

func feedItem(it Item) simplestreams.Item {
	return simplestreams.Item{
		FileType: it.FileType,
		Path:     "/items/" + strconv.FormatInt(it.ID, 10),
		SHA256:   it.Hash,
		Size:     it.Size,

		Combined:         it.Combined["combined_sha256"],
		CombinedRootXZ:   it.Combined["combined_rootxz_sha256"],
		CombinedSquashFS: it.Combined[build.CombinedSquashFS],
		CombinedDiskKVM:  it.Combined[build.CombinedDisk],
		CombinedDisk1:    it.Combined["combined_disk1-img_sha256"],
		CombinedDiskUEFI: it.Combined["combined_uefi1-img_sha256"],
	}
}
