use carebot_database::weather;
use carebot_model::regions::Grid;
use carebot_model::weather::{Forecast, Hour};

use crate::prelude::*;

fn forecast(issued_at: Timestamp, temperature: f64) -> Forecast {
    let hour = Hour {
        at: issued_at.millis() + 1_800_000,
        temperature,
        sky: Some(4),
        falls: None,
        rain: Some("1.0mm 미만".to_owned()),
        humidity: Some(45.5),
    };
    Forecast { issued_at, hours: vec![hour.clone(), Hour { rain: None, humidity: None, ..hour }] }
}

both_engines! {
    async fn the_newest_forecast_for_a_cell_is_kept(t: TestDb) {
        let (here, there) = (Grid { x: 60, y: 127 }, Grid { x: 127, y: 60 });
        let store = async |grid, forecast: Forecast| {
            transact!(t.db, tx => { weather::store(&mut tx, grid, &forecast, t.now()).await }).unwrap();
        };
        let cell = async |grid| weather::cell(&mut t.db.read(), grid).await.unwrap();
        assert_eq!(cell(here).await, None);
        let (old, new) = (forecast(t.now(), -3.5), forecast(t.now().plus_millis(3_600_000), 12.3));
        store(here, old.clone()).await;
        assert_eq!(cell(here).await, Some(old.clone()));
        store(here, new.clone()).await;
        store(here, old.clone()).await;
        assert_eq!(cell(here).await, Some(new), "an older one does not replace it");
        assert_eq!(cell(there).await, None);
        store(there, old.clone()).await;
        assert_eq!(cell(there).await, Some(old));
        t.db.execute("UPDATE weather_cells SET hours = 'something else'", vec![]).await.unwrap();
        assert_eq!(cell(here).await, None, "what cannot be read is fetched anew");
    }
}
