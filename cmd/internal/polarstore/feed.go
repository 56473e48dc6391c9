package polarstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// Feed returns what the space shows: the versions in its channel's state, with
// the metadata item for its type and without the others.
func (s *Store) Feed(ctx context.Context, sp Space) (map[string]simplestreams.Product, error) {
	type row struct {
		key, requirements, serial string
		item                      Item
	}
	scan := func(scan func(...any) error) (r row, err error) {
		var combined string
		if err := scan(&r.key, &r.requirements, &r.serial, &r.item.ID, &r.item.Name, &r.item.FileType,
			&r.item.Hash, &r.item.Size, &combined); err != nil {
			return r, err
		}
		return r, json.Unmarshal([]byte(combined), &r.item.Combined)
	}
	rows, err := list(ctx, s.read, scan, `SELECT p.key, p.requirements, v.serial, i.id, i.name, i.file_type, i.hash, i.size, i.combined
		FROM versions v JOIN products p ON p.id = v.product_id JOIN items i ON i.version_id = v.id
		WHERE v.state = ? AND (i.is_metadata = 0 OR i.name = ?) ORDER BY v.id, i.id`,
		sp.Channel, sp.Type+".tar.xz")
	if err != nil {
		return nil, fmt.Errorf("read feed: %w", err)
	}
	products := map[string]simplestreams.Product{}
	for _, r := range rows {
		p, ok := products[r.key]
		if !ok {
			if p, err = feedProduct(r.key, r.requirements); err != nil {
				return nil, fmt.Errorf("read feed: product %s: %w", r.key, err)
			}
			products[r.key] = p
		}
		if _, ok := p.Versions[r.serial]; !ok {
			p.Versions[r.serial] = simplestreams.Version{Items: map[string]simplestreams.Item{}}
		}
		p.Versions[r.serial].Items[r.item.Name] = feedItem(r.item)
	}
	return products, nil
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
		CombinedSquashFS: it.Combined[combinedSquashFS],
		CombinedDiskKVM:  it.Combined[combinedDisk],
		CombinedDisk1:    it.Combined["combined_disk1-img_sha256"],
		CombinedDiskUEFI: it.Combined["combined_uefi1-img_sha256"],
	}
}
