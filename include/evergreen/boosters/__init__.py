"""Gradient boosting by LightGBM, XGBoost and CatBoost, as estimators whose files hold no code."""
