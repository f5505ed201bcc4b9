#pragma once

#include "rt/blocking_pool.h"
#include "storage/objects/body_epochs.h"
#include "storage/objects/body_files.h"
#include "storage/objects/body_keys.h"
#include "storage/objects/body_pins.h"
#include "storage/objects/body_places.h"
#include "storage/objects/body_remover.h"
#include "storage/objects/buffer_budget.h"
#include "storage/objects/object_bodies.h"

#include <memory>

namespace hearth::storage {

// What uploads, downloads and the removal share. It outlives them; their jobs on the pools, which
// may outlive the object that asked for them, end with the pools, which end first.
struct BodyCore {
    BodyCore(
        Kv& store,
        const codec::MasterKey& master_key,
        Random& randomness,
        ObjectBodiesOptions settings,
        BodyPlaces file_systems,
        std::unique_ptr<BodyEpochs> epoch_list);
    ~BodyCore();

    // The id of a body without a file; the top bit tells it from the others.
    uint64_t InlineId();
    // On the sync pool: an unfinished body's file goes, if there is one.
    void Discard(uint64_t id, BodyTier tier);

    Kv& kv;
    Random& random;
    const ObjectBodiesOptions options;
    const BodyKeys keys;
    BodyPlaces places;
    const std::unique_ptr<BodyEpochs> epochs;
    BodyPins pins;
    BufferBudget budget;
    // What waits for the disk to be done; never short of a thread because others compute.
    rt::BlockingPool sync_pool;
    BodyRemover remover;
    rt::BlockingPool read_pool;
    // Hashes, seals, and writes into the page cache.
    rt::BlockingPool work_pool;
};

// As OpenObjectBodies, on other disks than the real ones; for tests.
Result<std::unique_ptr<ObjectBodies>> OpenObjectBodiesOn(
    BodyPlaces places,
    Kv& kv,
    const codec::MasterKey& master_key,
    Random& random,
    ObjectBodiesOptions options);

}  // namespace hearth::storage
