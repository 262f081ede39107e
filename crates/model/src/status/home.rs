//! The air in the home.

crate::status_kind! {
    /// What the robot measures of the air in the home.
    Home: name "home", title "home status", Title "Home status", table "home_status",
    reported true, thinned true, range ReportedAt, series [temperature, humidity, dust_level, ethanol] {
        /// Room temperature in degrees Celsius.
        temperature: f64 = real,
        /// Relative humidity in percent.
        humidity: f64 = real,
        /// Fine dust, PM10, in micrograms per cubic metre.
        dust_level: f64 = real,
        /// Gas (the sensor is calibrated for ethanol) in ppm.
        ethanol: f64 = real,
        /// Other readings, a text that holds a dictionary.
        others: String = long_text,
    }
}
