use carebot_database::images::{self, NewReference, Viewer};
use carebot_database::{accounts, deletion, families, messages, notifications, tools};
use carebot_model::images::{Format, Image, Source};
use carebot_model::messages::NewMessage;
use carebot_model::notifications::{Grade, NewNotification};

use crate::catalogue::count;
use crate::prelude::*;

fn new_image(t: &TestDb, owner: AccountId, file_name: &str) -> Image {
    Image {
        id: t.id(),
        owner,
        file_name: file_name.to_owned(),
        format: Format::Webp,
        bytes: 5_000_000_000,
        width: 4_000,
        height: 3_000,
        object: format!("{:016x}{:016x}", t.rng.next(), t.rng.next()),
        sha256: [7; 32],
        created_at: t.now(),
    }
}

async fn create(t: &TestDb, image: &Image) -> Result<(), DbError> {
    transact!(t.db, tx => { images::create(&mut tx, image).await })
}

async fn picture(t: &TestDb, owner: AccountId) -> Image {
    let image = new_image(t, owner, &format!("picture_{:x}.webp", t.rng.next()));
    create(t, &image).await.unwrap();
    image
}

async fn find(t: &TestDb, image: &Image) -> Option<Image> {
    images::find(&mut t.db.read(), image.owner, &image.file_name).await.unwrap()
}

async fn refer(t: &TestDb, image: RowId, source: (Source, RowId), viewers: &[Viewer]) -> Result<bool, DbError> {
    transact!(t.db, tx => {
        let references: Vec<_> = viewers.iter().map(|viewer| NewReference { id: t.id(), viewer: *viewer }).collect();
        images::refer(&mut tx, image, source, &references).await
    })
}

async fn is_shown(t: &TestDb, image: &Image, account: AccountId, families: &[FamilyId]) -> bool {
    images::is_shown_to(&mut t.db.read(), image.id, account, families).await.unwrap()
}

async fn discarded(t: &TestDb) -> Vec<String> {
    images::discarded(&mut t.db.read()).await.unwrap()
}

async fn delete(t: &TestDb, image: RowId) -> bool {
    transact!(t.db, tx => { images::delete(&mut tx, &permit(image), t.now()).await }).unwrap()
}

async fn discard_unreferenced(t: &TestDb, since: Timestamp) -> usize {
    transact!(t.db, tx => { images::discard_unreferenced(&mut tx, since, t.now()).await }).unwrap()
}

async fn mark_unreferenced(t: &TestDb, from: &str, to: &str) -> u64 {
    transact!(t.db, tx => { images::mark_unreferenced(&mut tx, from..to, t.now()).await }).unwrap()
}

async fn empty(t: &TestDb) {
    while deletion::step(&t.db).await.unwrap() {}
}

both_engines! {
    async fn a_picture_comes_back_as_it_was(t: TestDb) {
        let owner = t.guardian().await;
        for (number, text) in TEXTS.iter().enumerate() {
            let image = new_image(&t, owner, &format!("{text}{number}"));
            create(&t, &image).await.unwrap();
            assert_eq!(find(&t, &image).await, Some(image));
        }
    }

    async fn a_name_is_unique_among_the_owners_and_told_by_every_byte(t: TestDb) {
        let (owner, other) = (t.guardian().await, t.elder().await);
        let first = new_image(&t, owner, "Picture.png");
        create(&t, &first).await.unwrap();
        let error = create(&t, &new_image(&t, owner, "Picture.png")).await.unwrap_err();
        assert!(images::is_name_taken(&error), "{error}");
        for (owner, name) in [(other, "Picture.png"), (owner, "picture.png"), (owner, "Picture.png "), (owner, "Píctúre.png")] {
            create(&t, &new_image(&t, owner, name)).await.unwrap();
        }
        let same_object = Image { object: first.object.clone(), ..new_image(&t, owner, "x.png") };
        let error = create(&t, &same_object).await.unwrap_err();
        assert!(matches!(error, DbError::Duplicate { .. }) && !images::is_name_taken(&error), "{error}");
        let nobody = new_image(&t, AccountId::parse("U000000000000000").unwrap(), "x.png");
        assert!(matches!(create(&t, &nobody).await, Err(DbError::MissingParent)));
    }

    async fn what_an_account_uses_is_the_sum_of_its_pictures(t: TestDb) {
        let (owner, other) = (t.guardian().await, t.elder().await);
        let usage = async |account| images::usage(&mut t.db.read(), account).await.unwrap();
        assert_eq!(usage(owner).await, 0);
        let first = picture(&t, owner).await;
        picture(&t, owner).await;
        picture(&t, other).await;
        assert_eq!(usage(owner).await, 10_000_000_000);
        assert!(delete(&t, first.id).await);
        assert_eq!(usage(owner).await, 5_000_000_000);
    }

    async fn an_owner_who_is_deleted_cannot_be_locked_and_has_no_pictures(t: TestDb) {
        let owner = t.guardian().await;
        let image = picture(&t, owner).await;
        let lock = async || transact!(t.db, tx => { images::lock_owner(&mut tx, owner).await }).unwrap();
        assert!(lock().await);
        transact!(t.db, tx => { accounts::delete(&mut tx, &permit(owner), t.now()).await }).unwrap();
        assert!(!lock().await);
        assert_eq!(find(&t, &image).await, None);
    }

    async fn a_picture_is_shown_to_whom_something_refers(t: TestDb) {
        let (house, other) = (t.household().await, t.household().await);
        let image = picture(&t, house.guardian).await;
        let stranger = t.guardian().await;
        assert!(!is_shown(&t, &image, house.elder, &[house.family]).await);
        assert!(refer(&t, image.id, (Source::Background, t.id()), &[Viewer::Family(house.family)]).await.unwrap());
        let viewers = [Viewer::Account(stranger), Viewer::Account(house.guardian)];
        assert!(refer(&t, image.id, (Source::Message, t.id()), &viewers).await.unwrap());
        assert!(is_shown(&t, &image, house.elder, &[house.family]).await);
        assert!(is_shown(&t, &image, house.elder, &[other.family, house.family]).await);
        assert!(is_shown(&t, &image, stranger, &[]).await);
        assert!(!is_shown(&t, &image, house.elder, &[]).await);
        assert!(!is_shown(&t, &image, other.elder, &[other.family]).await);
        assert!(!is_shown(&t, &picture(&t, house.guardian).await, stranger, &[house.family]).await);
    }

    async fn what_is_gone_can_neither_be_referred_to_nor_shown(t: TestDb) {
        let house = t.household().await;
        let image = picture(&t, house.guardian).await;
        assert!(delete(&t, image.id).await);
        assert!(!delete(&t, image.id).await);
        assert!(!refer(&t, image.id, (Source::Background, t.id()), &[Viewer::Family(house.family)]).await.unwrap());
        assert_eq!(count(&t, "image_references", "image_id", image.id).await, 0);
        let there = picture(&t, house.guardian).await;
        let nobody = [Viewer::Account(AccountId::parse("U000000000000000").unwrap())];
        let refused = refer(&t, there.id, (Source::Message, t.id()), &nobody).await;
        assert!(matches!(refused, Err(DbError::MissingParent)), "{refused:?}");
    }

    async fn what_referred_is_forgotten_when_it_is_deleted(t: TestDb) {
        let house = t.household().await;
        let image = picture(&t, house.guardian).await;
        let family = permit(house.family);
        let (background, notification, message) = (t.id(), t.id(), t.id());
        let new = NewNotification { grade: Grade::Info, description: None, image_url: None };
        let letter = NewMessage { from_id: house.guardian, to_id: house.elder, content: None, image_url: None };
        transact!(t.db, tx => {
            tools::add_background(&mut tx, &family, background, house.guardian, None, t.now()).await?;
            notifications::create(&mut tx, &family, notification, &new, t.now()).await?;
            messages::create(&mut tx, &permit(house.guardian), message, &letter, t.now()).await
        })
        .unwrap();
        let viewer = [Viewer::Family(house.family)];
        for source in [(Source::Background, background), (Source::Notification, notification), (Source::Message, message)] {
            refer(&t, image.id, source, &viewer).await.unwrap();
        }
        let left = async || count(&t, "image_references", "image_id", image.id).await;
        assert_eq!(left().await, 3);
        assert!(transact!(t.db, tx => { tools::delete_background(&mut tx, &family, background).await }).unwrap());
        assert_eq!(left().await, 2);
        assert!(transact!(t.db, tx => { notifications::delete(&mut tx, &permit(notification)).await }).unwrap());
        assert_eq!(left().await, 1);
        assert!(transact!(t.db, tx => { messages::delete(&mut tx, &permit(message)).await }).unwrap());
        assert_eq!(left().await, 0);
    }

    async fn a_background_of_another_family_is_neither_deleted_nor_forgotten(t: TestDb) {
        let (house, other) = (t.household().await, t.household().await);
        let image = picture(&t, house.guardian).await;
        let background = t.id();
        transact!(t.db, tx => {
            tools::add_background(&mut tx, &permit(house.family), background, house.guardian, None, t.now()).await
        })
        .unwrap();
        refer(&t, image.id, (Source::Background, background), &[Viewer::Family(house.family)]).await.unwrap();
        let foreign = permit(other.family);
        assert!(!transact!(t.db, tx => { tools::delete_background(&mut tx, &foreign, background).await }).unwrap());
        assert!(is_shown(&t, &image, house.elder, &[house.family]).await);
    }

    async fn a_deleted_picture_leaves_its_object_to_be_deleted(t: TestDb) {
        let owner = t.guardian().await;
        let (first, second) = (picture(&t, owner).await, picture(&t, owner).await);
        assert_eq!(discarded(&t).await, Vec::<String>::new());
        assert!(delete(&t, first.id).await);
        assert_eq!(find(&t, &first).await, None);
        assert_eq!(discarded(&t).await, std::slice::from_ref(&first.object));
        transact!(t.db, tx => { images::objects_are_gone(&mut tx, &[second.object.clone(), first.object.clone()]).await }).unwrap();
        assert_eq!(discarded(&t).await, Vec::<String>::new());
        assert_eq!(find(&t, &second).await, Some(second));
    }

    async fn known_objects_are_those_of_pictures(t: TestDb) {
        let owner = t.guardian().await;
        assert!(!images::is_any(&mut t.db.read()).await.unwrap());
        let image = picture(&t, owner).await;
        assert!(images::is_any(&mut t.db.read()).await.unwrap());
        let known = images::known_objects(&mut t.db.read(), &["00", &image.object, "zz"]).await.unwrap();
        assert_eq!(known, [image.object]);
        assert!(images::known_objects(&mut t.db.read(), &[]).await.unwrap().is_empty());
    }

    async fn what_nothing_refers_to_is_discarded_after_a_time(t: TestDb) {
        let house = t.household().await;
        let (unused, used) = (picture(&t, house.guardian).await, picture(&t, house.guardian).await);
        let source = (Source::Background, t.id());
        refer(&t, used.id, source, &[Viewer::Family(house.family)]).await.unwrap();
        assert_eq!(discard_unreferenced(&t, t.now().plus_millis(-1)).await, 0);
        t.advance(1_000).await;
        assert_eq!(discard_unreferenced(&t, t.now()).await, 1);
        assert_eq!(discarded(&t).await, [unused.object]);
        assert_eq!(find(&t, &used).await, Some(used.clone()));

        // Its time begins when it is found that nothing refers to it any more.
        assert_eq!(mark_unreferenced(&t, "00", "g").await, 0);
        transact!(t.db, tx => { images::forget(&mut tx, source.0, &[source.1]).await }).unwrap();
        let next = format!("{}~", used.object);
        assert_eq!(mark_unreferenced(&t, &next, "g").await, 0, "it is not in this part");
        assert_eq!(mark_unreferenced(&t, "00", &next).await, 1);
        let marked = t.now();
        t.advance(1_000).await;
        assert_eq!(mark_unreferenced(&t, "00", "g").await, 0, "the time runs already");
        assert_eq!(discard_unreferenced(&t, marked.plus_millis(-1)).await, 0);
        assert_eq!(discard_unreferenced(&t, marked).await, 1);
        assert_eq!(find(&t, &used).await, None);
    }

    async fn what_is_referred_to_again_stays(t: TestDb) {
        let house = t.household().await;
        let image = picture(&t, house.guardian).await;
        t.advance(1_000).await;
        refer(&t, image.id, (Source::Background, t.id()), &[Viewer::Family(house.family)]).await.unwrap();
        assert_eq!(discard_unreferenced(&t, t.now()).await, 0);
        assert!(find(&t, &image).await.is_some());
    }

    async fn many_are_discarded_in_bounded_steps(t: TestDb) {
        let owner = t.guardian().await;
        let step = images::STEP as usize;
        for _ in 0..step + 5 {
            picture(&t, owner).await;
        }
        assert_eq!(discard_unreferenced(&t, t.now()).await, step);
        assert_eq!(discard_unreferenced(&t, t.now()).await, 5);
        assert_eq!(discarded(&t).await.len(), step);
    }

    async fn a_deleted_account_leaves_all_of_its_objects_and_no_reference(t: TestDb) {
        let (house, other) = (t.household().await, t.guardian().await);
        let step = images::STEP as usize;
        let mut objects = Vec::new();
        for number in 0..step + 20 {
            let image = picture(&t, house.guardian).await;
            if number % 7 == 0 {
                refer(&t, image.id, (Source::Background, t.id()), &[Viewer::Family(house.family)]).await.unwrap();
            }
            objects.push(image.object);
        }
        let kept = picture(&t, other).await;
        refer(&t, kept.id, (Source::Message, t.id()), &[Viewer::Account(house.guardian), Viewer::Account(other)]).await.unwrap();
        transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.guardian), t.now()).await }).unwrap();
        empty(&t).await;
        assert_eq!(count(&t, "images", "owner_id", house.guardian).await, 0);
        assert_eq!(count(&t, "image_references", "image_id", kept.id).await, 1, "for who is still there");
        assert_eq!(count(&t, "image_references", "family_id", house.family).await, 0);
        assert_eq!(find(&t, &kept).await, Some(kept));
        let mut left = Vec::new();
        loop {
            let some = discarded(&t).await;
            if some.is_empty() {
                break;
            }
            transact!(t.db, tx => { images::objects_are_gone(&mut tx, &some).await }).unwrap();
            left.extend(some);
        }
        objects.sort();
        assert_eq!(left, objects);
    }

    async fn what_a_deleted_account_showed_to_others_is_no_longer_shown(t: TestDb) {
        let (house, friend) = (t.household().await, t.guardian().await);
        let theirs = picture(&t, friend).await;
        let (message, background) = (t.id(), t.id());
        let letter = NewMessage { from_id: house.guardian, to_id: house.elder, content: None, image_url: None };
        transact!(t.db, tx => {
            messages::create(&mut tx, &permit(house.guardian), message, &letter, t.now()).await?;
            tools::add_background(&mut tx, &permit(house.family), background, house.guardian, None, t.now()).await
        })
        .unwrap();
        refer(&t, theirs.id, (Source::Message, message), &[Viewer::Account(house.elder), Viewer::Account(house.guardian)]).await.unwrap();
        refer(&t, theirs.id, (Source::Background, background), &[Viewer::Family(house.family)]).await.unwrap();
        assert!(is_shown(&t, &theirs, house.elder, &[]).await);
        transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.guardian), t.now()).await }).unwrap();
        empty(&t).await;
        assert!(!is_shown(&t, &theirs, house.elder, &[house.family]).await);
        assert!(find(&t, &theirs).await.is_some());
    }

    async fn a_deleted_family_is_shown_nothing(t: TestDb) {
        let house = t.household().await;
        let image = picture(&t, house.guardian).await;
        refer(&t, image.id, (Source::Report, t.id()), &[Viewer::Family(house.family)]).await.unwrap();
        transact!(t.db, tx => { families::delete(&mut tx, &permit(house.family), t.now()).await }).unwrap();
        empty(&t).await;
        assert_eq!(count(&t, "image_references", "image_id", image.id).await, 0);
        assert!(find(&t, &image).await.is_some(), "the picture is its owner's");
    }
}
