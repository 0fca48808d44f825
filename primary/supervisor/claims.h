/*
 * Claims: contexts that wait for a shard which somebody else holds.
 *
 *   add, from a pid    promised a shard of that process   --+--> remove: granted, or taken back
 *   add, from the dead next in line for whichever shard   --+    by its context, or by its end
 *
 * A shard is promised to one claim at most, and that one gets it next; else, of those that wait for
 * a death, the first to arrive.
 *
 * A claimant is a worker by its slot, and one of its contexts. Memory: the table itself, fixed, in
 * order of arrival. Not its job: leases, and to ask a holder to yield (shards.c). One thread.
 */
#ifndef MOS_PRIMARY_CLAIMS_H
#define MOS_PRIMARY_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

/* For each shard a successor and two standbys, and some more. */
#define MOS_CLAIM_MAX 112

/* mos_claim.shard: none is promised, any will do. */
#define MOS_CLAIM_ANY UINT32_MAX

struct mos_claim {
	uint32_t worker; /* slot of the process */
	uint32_t ctx;    /* its context */
	uint32_t shard;  /* promised, or MOS_CLAIM_ANY */
};

struct mos_claims {
	struct mos_claim claim[MOS_CLAIM_MAX]; /* count entries, the oldest first */
	uint32_t count;
};

/*
 * Append one. 0, -EEXIST (this context waits already), -EBUSY (the shard is promised to another),
 * -ENOSPC (trying again helps, once others were served).
 */
int mos_claims_add(struct mos_claims *c, const struct mos_claim *claim);

/* The claim that this shard is promised to; NULL: none. */
const struct mos_claim *mos_claims_promised(const struct mos_claims *c, uint32_t shard);

/* The claim that gets this shard when it is free; NULL: nobody waits for it. */
const struct mos_claim *mos_claims_next(const struct mos_claims *c, uint32_t shard);

/* Take out the claim of this context. False: it has none. *out receives it. */
bool mos_claims_remove(struct mos_claims *c, uint32_t worker, uint32_t ctx, struct mos_claim *out);

/* Take out the oldest claim of this worker, whichever context's. False: it has none. */
bool mos_claims_remove_any(struct mos_claims *c, uint32_t worker, struct mos_claim *out);

#endif
