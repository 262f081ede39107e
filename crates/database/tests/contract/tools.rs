use carebot_database::{accounts, families, tools};
use carebot_model::backgrounds::Background;
use carebot_model::news::{Article, Category, DailyNews};
use carebot_model::settings::{Settings, SettingsChange};
use carebot_model::text::LongText;

use crate::prelude::*;

async fn settings(t: &TestDb, family: FamilyId) -> Option<Settings> {
    tools::get_settings(&mut t.db.read(), &permit(family)).await.unwrap()
}

async fn change(t: &TestDb, family: FamilyId, change: SettingsChange) -> bool {
    transact!(t.db, tx => { tools::update_settings(&mut tx, &permit(family), change).await }).unwrap()
}

async fn add(t: &TestDb, family: FamilyId, uploader: AccountId, url: Option<&str>) -> Result<Background, DbError> {
    let url = url.and_then(|url| LongText::parse(url.to_owned()));
    let id = t.id();
    transact!(t.db, tx => { tools::add_background(&mut tx, &permit(family), id, uploader, url.as_ref(), t.now()).await })
}

async fn album(t: &TestDb, family: FamilyId, uploader: Option<AccountId>) -> Vec<Background> {
    tools::get_backgrounds(&mut t.db.read(), &permit(family), uploader).await.unwrap()
}

async fn picture(t: &TestDb, family: FamilyId, id: RowId) -> Option<Background> {
    tools::get_one_background(&mut t.db.read(), &permit(family), id).await.unwrap()
}

async fn remove(t: &TestDb, family: FamilyId, id: RowId) -> bool {
    transact!(t.db, tx => { tools::delete_background(&mut tx, &permit(family), id).await }).unwrap()
}

#[test]
fn there_are_sixteen_governments_and_regions_below_them() {
    assert_eq!(tools::master_regions().len(), 16);
    assert!(tools::master_regions().iter().any(|region| region.name == "경기도" && region.kind == "도"));
    let all = tools::sub_regions(None).len();
    let below = tools::sub_regions(Some("경기"));
    assert!(!below.is_empty() && below.len() < all);
    assert!(below.iter().all(|region| region.master == "경기도"));
    for wildcard in ["%", "_", "경기_", "경%"] {
        assert!(tools::sub_regions(Some(wildcard)).is_empty(), "{wildcard} is plain text");
    }
}

both_engines! {
    async fn settings_change_partly(t: TestDb) {
        let (family, other) = (t.family().await, t.family().await);
        assert_eq!(settings(&t, family).await, Some(Settings::defaults(family)));
        assert!(change(&t, family, SettingsChange { is_camera_enabled: Some(true), ..SettingsChange::default() }).await);
        assert!(change(&t, family, SettingsChange { is_driving_enabled: Some(true), ..SettingsChange::default() }).await);
        assert!(change(&t, family, SettingsChange::default()).await, "an empty change meets the row all the same");
        let expected = Settings { is_camera_enabled: true, is_driving_enabled: true, ..Settings::defaults(family) };
        assert_eq!(settings(&t, family).await, Some(expected));
        let back = SettingsChange {
            is_alarm_enabled: Some(true),
            is_camera_enabled: Some(false),
            is_microphone_enabled: Some(true),
            is_driving_enabled: None,
        };
        assert!(change(&t, family, back).await);
        let expected = Settings {
            family_id: family,
            is_alarm_enabled: true,
            is_camera_enabled: false,
            is_microphone_enabled: true,
            is_driving_enabled: true,
        };
        assert_eq!(settings(&t, family).await, Some(expected));
        assert_eq!(settings(&t, other).await, Some(Settings::defaults(other)));
    }

    async fn settings_are_made_and_deleted_once(t: TestDb) {
        let family = t.family().await;
        let delete = async || transact!(t.db, tx => { tools::delete_settings(&mut tx, &permit(family)).await }).unwrap();
        let create = async || transact!(t.db, tx => { tools::create_settings(&mut tx, family).await });
        assert!(matches!(create().await, Err(DbError::Duplicate { .. })), "a family is made with them");
        assert!(delete().await);
        assert!(!delete().await);
        assert_eq!(settings(&t, family).await, None);
        assert!(!change(&t, family, SettingsChange::default()).await);
        create().await.unwrap();
        assert_eq!(settings(&t, family).await, Some(Settings::defaults(family)));
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        let made = transact!(t.db, tx => { tools::create_settings(&mut tx, nothing).await });
        assert!(matches!(made, Err(DbError::MissingParent)));
    }

    async fn an_album_is_listed_oldest_first(t: TestDb) {
        let (house, other) = (t.household().await, t.household().await);
        let one = add(&t, house.family, house.elder, Some("https://example.com/1.jpg")).await.unwrap();
        let two = add(&t, house.family, house.guardian, None).await.unwrap();
        let foreign = add(&t, other.family, house.guardian, Some("https://example.com/3.jpg")).await.unwrap();
        assert_eq!((one.family_id, one.uploader_id), (house.family, house.elder));
        assert_eq!(one.image_url.as_deref(), Some("https://example.com/1.jpg"));
        assert_eq!(album(&t, house.family, None).await, [one.clone(), two.clone()]);
        assert_eq!(album(&t, house.family, Some(house.guardian)).await, [two]);
        assert_eq!(album(&t, house.family, Some(other.elder)).await, []);
        assert_eq!(album(&t, other.family, None).await, std::slice::from_ref(&foreign));
        assert_eq!(picture(&t, house.family, one.id).await, Some(one.clone()));
        assert_eq!(picture(&t, house.family, foreign.id).await, None, "another family's is not found");

        assert!(!remove(&t, house.family, foreign.id).await);
        assert!(remove(&t, house.family, one.id).await);
        assert!(!remove(&t, house.family, one.id).await);
        assert_eq!(picture(&t, house.family, one.id).await, None);
        assert_eq!(picture(&t, other.family, foreign.id).await, Some(foreign));
    }

    async fn a_picture_of_nobody_or_for_nothing_is_a_typed_error(t: TestDb) {
        let house = t.household().await;
        let nobody = AccountId::parse("U234567890123456").unwrap();
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        assert!(matches!(add(&t, house.family, nobody, None).await, Err(DbError::MissingParent)));
        assert!(matches!(add(&t, nothing, house.elder, None).await, Err(DbError::MissingParent)));
    }

    async fn pictures_end_with_family_or_uploader(t: TestDb) {
        let house = t.household().await;
        let by_elder = add(&t, house.family, house.elder, None).await.unwrap();
        let by_guardian = add(&t, house.family, house.guardian, None).await.unwrap();
        assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.guardian), t.now()).await }).unwrap());
        assert_eq!(album(&t, house.family, None).await, std::slice::from_ref(&by_elder));
        assert_eq!(picture(&t, house.family, by_guardian.id).await, None);
        assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(house.family), t.now()).await }).unwrap());
        assert_eq!(album(&t, house.family, None).await, []);
        assert_eq!(picture(&t, house.family, by_elder.id).await, None);
        assert_eq!(settings(&t, house.family).await, None);
    }

    async fn the_news_of_a_day_are_filed_by_category(t: TestDb) {
        let (day, other) = (Date::new(2026, 3, 2).unwrap(), Date::new(2026, 3, 3).unwrap());
        assert_eq!(tools::news(&mut t.db.read(), day).await.unwrap(), DailyNews::default());
        let mut expected = DailyNews::default();
        // Every category twice, and every text somewhere.
        for (number, category) in Category::ALL.iter().chain(Category::ALL).enumerate() {
            let text = TEXTS[number % TEXTS.len()].to_owned();
            let article = Article {
                id: t.id(),
                category: *category,
                title: text.clone(),
                link: text.clone(),
                image_url: (number % 2 == 0).then_some(text),
                pub_date: day,
                created_at: t.now(),
            };
            assert_eq!(transact!(t.db, tx => { tools::add_news(&mut tx, &article).await }).unwrap(), article.id);
            expected.push(article);
        }
        let tomorrow = Article { id: t.id(), pub_date: other, ..expected.health[0].clone() };
        transact!(t.db, tx => { tools::add_news(&mut tx, &tomorrow).await }).unwrap();
        assert_eq!(tools::news(&mut t.db.read(), day).await.unwrap(), expected);
        assert_eq!(tools::news(&mut t.db.read(), other).await.unwrap().health, [tomorrow]);
    }

    async fn every_address_of_a_picture_comes_back_as_it_went_in(t: TestDb) {
        let house = t.household().await;
        for text in TEXTS {
            let added = add(&t, house.family, house.elder, Some(text)).await.unwrap();
            let read = picture(&t, house.family, added.id).await.unwrap();
            assert_eq!(read.image_url.as_deref(), Some(*text));
        }
    }
}

fn article(t: &TestDb, category: Category, link: &str, day: i64) -> Article {
    Article {
        id: t.id(),
        category,
        title: "걷기".to_owned(),
        link: link.to_owned(),
        image_url: None,
        pub_date: Date::new(2026, 3, day).unwrap(),
        created_at: t.now(),
    }
}

both_engines! {
    async fn a_link_is_stored_once_in_a_category(t: TestDb) {
        let add = async |article: Article| {
            transact!(t.db, tx => { tools::add_news_once(&mut tx, &article).await }).unwrap()
        };
        let (health, sports) = (Category::Health, Category::Sports);
        assert!(add(article(&t, health, "https://a.example/1", 2)).await);
        assert!(!add(article(&t, health, "https://a.example/1", 2)).await);
        assert!(add(article(&t, health, "https://a.example/2", 2)).await, "another link");
        assert!(add(article(&t, health, "https://a.example/A", 2)).await, "another link");
        assert!(add(article(&t, health, "https://a.example/a", 2)).await, "by letter case");
        assert!(add(article(&t, sports, "https://a.example/1", 2)).await, "another category");
        assert!(!add(article(&t, health, "https://a.example/1", 3)).await, "nor on another day");
        let news = tools::news(&mut t.db.read(), Date::new(2026, 3, 2).unwrap()).await.unwrap();
        assert_eq!((news.health.len(), news.sports.len()), (4, 1));
    }

    async fn old_news_are_forgotten_in_bounded_steps(t: TestDb) {
        for number in 0..1_100 {
            let new = article(&t, Category::Health, &format!("https://a.example/{number}"), 1 + number % 2);
            transact!(t.db, tx => { tools::add_news_once(&mut tx, &new).await }).unwrap();
        }
        let kept = Date::new(2026, 3, 2).unwrap();
        let mut steps = 0;
        while transact!(t.db, tx => { tools::forget_news(&mut tx, kept).await }).unwrap() {
            steps += 1;
        }
        assert_eq!(steps, 2);
        assert_eq!(tools::news(&mut t.db.read(), kept).await.unwrap().health.len(), 550);
        for table in ["news", "news_links"] {
            assert_eq!(crate::catalogue::count(&t, table, "1", 1_i64).await, 550, "{table}");
        }
    }

    async fn the_last_round_of_a_source_is_noted(t: TestDb) {
        let round = tools::NewsRound { day: Date::new(2026, 3, 2).unwrap(), failures: 2, is_done: false, tried_at: t.now() };
        let last = async |category, source| tools::news_round(&mut t.db.read(), category, source).await.unwrap();
        let note = async |round: &tools::NewsRound| {
            transact!(t.db, tx => { tools::note_news_round(&mut tx, Category::Health, "https://a.example", round).await }).unwrap();
        };
        assert_eq!(last(Category::Health, "https://a.example").await, None);
        note(&round).await;
        assert_eq!(last(Category::Health, "https://a.example").await, Some(round));
        assert_eq!(last(Category::Health, "https://b.example").await, None);
        assert_eq!(last(Category::Sports, "https://a.example").await, None);
        let done = tools::NewsRound { is_done: true, failures: 0, ..round };
        note(&done).await;
        note(&done).await;
        assert_eq!(last(Category::Health, "https://a.example").await, Some(done));
    }
}
